#include "shm/pool.h"

#include <map>
#include <vector>

#include "doctest/doctest.h"
#include "shm/region.h"
#include "test/random.h"
#include "test/region_check.h"

namespace actor_ipc {

namespace {

struct Fixture {
  Fd file;
  Mapping mapping;
  Journal journal;
  Pool pool;

  explicit Fixture(uint64_t bytes = kRegionBytesMin)
      : mapping(Create(bytes, &file)), journal(mapping.base(), mapping.bytes()),
        pool(mapping.base(), kPoolOffset / kGrainBytes, static_cast<uint32_t>(mapping.bytes() / kGrainBytes), &journal) {}

  static Mapping Create(uint64_t bytes, Fd* file) {
    Mapping mapping;
    REQUIRE(CreateRegion(bytes, file, &mapping).ok());
    return mapping;
  }
  /// A block with a holder, or 0. Slot 0 counts as used.
  uint32_t Take(uint64_t bytes) {
    uint32_t block = 0;
    const Status status = pool.Allocate(bytes, BlockState::kData, &block);
    if (!status.ok()) {
      REQUIRE(status.code() == Code::kNoMemory);
      REQUIRE(journal.PutBack().ok());
      return 0;
    }
    journal.Set64(&pool.HeaderOf(block)->holders, 1);
    REQUIRE(journal.Commit().ok());
    reinterpret_cast<UserSlot*>(mapping.base() + kUsersOffset)->pid.store(1);
    return block;
  }
  void Drop(uint32_t block) {
    journal.Set64(&pool.HeaderOf(block)->holders, 0);
    REQUIRE(pool.Drop(block).ok());
    REQUIRE(journal.Commit().ok());
  }
};

}  // namespace

TEST_SUITE("pool") {
  TEST_CASE("a new pool is one free block, and one block can have all of it") {
    Fixture fixture;
    const PoolStats fresh = fixture.pool.Stats();
    CHECK(fresh.blocks == 0);
    CHECK(fresh.used == 0);
    CHECK(fresh.free == fixture.mapping.bytes() - kPoolOffset);
    CHECK(fresh.largest == fresh.free - sizeof(PoolBlock));
    CHECK(fixture.Take(fresh.largest + 1) == 0);
    const uint32_t block = fixture.Take(fresh.largest);
    REQUIRE(block != 0);
    CHECK(fixture.pool.Stats().free == 0);
    CHECK(fixture.pool.Stats().largest == 0);
    CHECK(fixture.Take(0) == 0);
    CHECK(RegionProblem(fixture.mapping) == "");
    fixture.Drop(block);
    CHECK(fixture.pool.Stats().largest == fresh.largest);
    CHECK(RegionProblem(fixture.mapping) == "");
  }

  TEST_CASE("a size that no pool can have is refused") {
    Fixture fixture;
    for (const uint64_t bytes : {uint64_t{UINT32_MAX}, uint64_t{1} << 32, UINT64_MAX, UINT64_MAX - 31, UINT64_MAX - 64})
      CHECK(fixture.Take(bytes) == 0);
    CHECK(RegionProblem(fixture.mapping) == "");
  }

  TEST_CASE("blocks that come back join their neighbours in every order") {
    for (const std::vector<size_t>& order :
         {std::vector<size_t>{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}) {
      Fixture fixture;
      const uint64_t all = fixture.pool.Stats().largest;
      const std::vector<uint32_t> blocks = {fixture.Take(100), fixture.Take(1000), fixture.Take(10)};
      for (size_t i : order) {
        fixture.Drop(blocks[i]);
        CHECK(RegionProblem(fixture.mapping) == "");
      }
      CHECK(fixture.pool.Stats().largest == all);
    }
  }

  TEST_CASE("random blocks never overlap, keep their bytes, and all memory comes back") {
    for (uint32_t seed = 1; seed <= 4; seed++) {
      CAPTURE(seed);
      Fixture fixture(256 << 10);
      const uint64_t all = fixture.pool.Stats().largest;
      Random random(seed);
      std::map<uint32_t, std::vector<uint8_t>> held;
      uint32_t refused = 0;
      for (int step = 0; step < 3000; step++) {
        if (random.Below(5) < 3 || held.empty()) {
          const uint32_t bytes = random.Below(8) == 0 ? random.Below(40000) : random.Below(600);
          const uint32_t block = fixture.Take(bytes);
          refused += block == 0;
          if (block == 0) continue;
          REQUIRE(!held.contains(block));
          random.Fill(&held[block], bytes);
          std::copy(held[block].begin(), held[block].end(), fixture.pool.Bytes(block));
        } else {
          auto chosen = held.begin();
          std::advance(chosen, random.Below(static_cast<uint32_t>(held.size())));
          REQUIRE(std::equal(chosen->second.begin(), chosen->second.end(), fixture.pool.Bytes(chosen->first)));
          fixture.Drop(chosen->first);
          held.erase(chosen);
        }
        if (step % 100 == 0) REQUIRE(RegionProblem(fixture.mapping) == "");
      }
      CHECK(refused > 0);
      for (const auto& [block, bytes] : held) {
        REQUIRE(std::equal(bytes.begin(), bytes.end(), fixture.pool.Bytes(block)));
        fixture.Drop(block);
      }
      CHECK(fixture.pool.Stats().largest == all);
      CHECK(RegionProblem(fixture.mapping) == "");
    }
  }

  TEST_CASE("what is put back was never there") {
    Fixture fixture;
    const uint32_t kept = fixture.Take(100);
    const std::vector<uint8_t> before(fixture.mapping.base(), fixture.mapping.base() + fixture.mapping.bytes());
    uint32_t block = 0;
    REQUIRE(fixture.pool.Allocate(5000, BlockState::kData, &block).ok());
    fixture.journal.Set64(&fixture.pool.HeaderOf(kept)->holders, 0);
    REQUIRE(fixture.pool.Drop(kept).ok());
    REQUIRE(fixture.journal.PutBack().ok());
    CHECK(RegionProblem(fixture.mapping) == "");
    // All but the journal itself, which keeps what no longer counts.
    const std::vector<uint8_t> after(fixture.mapping.base(), fixture.mapping.base() + fixture.mapping.bytes());
    for (size_t i = 0; i < before.size(); i++)
      if (i < kJournalOffset || i >= kUsersOffset) REQUIRE(before[i] == after[i]);
  }

  TEST_CASE("any word of the pool may be scribbled over: calls fail, and touch nothing outside") {
    for (uint32_t seed = 1; seed <= 400; seed++) {
      CAPTURE(seed);
      Random random(seed);
      Fixture fixture;
      std::vector<uint32_t> blocks;
      for (int i = 0; i < 20; i++) blocks.push_back(fixture.Take(random.Below(1500)));
      for (int i = 0; i < 20; i += 2) fixture.Drop(blocks[static_cast<size_t>(i)]);
      for (uint32_t i = 0; i < 1 + random.Below(20); i++) {
        // Headers of blocks, or the line of the pool.
        const uint64_t place = random.Below(3) == 0 ? kPoolLineOffset + 4 * random.Below(sizeof(PoolLine) / 4)
                                                    : uint64_t{blocks[random.Below(20)]} * kGrainBytes + 4 * random.Below(8);
        const uint32_t values[] = {0, 1, UINT32_MAX, random.Next(), random.Below(2000), blocks[random.Below(20)],
                                   static_cast<uint32_t>(BlockState::kFree), static_cast<uint32_t>(BlockState::kData)};
        reinterpret_cast<Word*>(fixture.mapping.base() + place)->store(values[random.Below(8)]);
      }
      for (int i = 0; i < 40; i++) {
        uint32_t block = 0;
        const uint32_t chosen = random.Below(2) == 0 ? blocks[random.Below(20)] : random.Next();
        Status status = random.Below(2) == 0 ? fixture.pool.Allocate(random.Below(3000), BlockState::kData, &block)
                                             : fixture.pool.Drop(chosen);
        if (status.ok()) status = fixture.journal.Commit();
        if (!status.ok()) REQUIRE(fixture.journal.PutBack().ok());
        (void)fixture.pool.Stats();
      }
    }
  }
}

}  // namespace actor_ipc
