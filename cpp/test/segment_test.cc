#include "shm/segment.h"

#include <sys/mman.h>

#include <functional>
#include <utility>
#include <vector>

#include "doctest/doctest.h"
#include "test/random.h"

namespace actor_ipc {

namespace {

struct Created {
  Fd file;
  Mapping own;

  explicit Created(const std::vector<uint32_t>& capacities, uint32_t first_position = 0,
                   SegmentKind kind = SegmentKind::kSession) {
    REQUIRE(CreateSegment(kind, capacities, first_position, &file, &own).ok());
  }
  SegmentHeader* header() const { return reinterpret_cast<SegmentHeader*>(own.base()); }
};

struct Attached {
  Mapping mapping;
  std::vector<RingPlace> rings;
};

Status Attach(const Created& segment, Attached* attached, SegmentKind kind = SegmentKind::kSession) {
  return AttachSegment(segment.file.get(), segment.own.bytes(), UINT32_MAX, kind, &attached->mapping,
                       &attached->rings);
}

/// Attaching refuses a good segment of two lanes after `spoil`.
void CheckSpoiled(const std::function<void(const Created&)>& spoil) {
  const Created segment({4096, 1024});
  Attached attached;
  REQUIRE(Attach(segment, &attached).ok());
  spoil(segment);
  Attached refused;
  CHECK(Attach(segment, &refused).code() == Code::kBadLayout);
  CHECK(refused.mapping.base() == nullptr);
  CHECK(refused.rings.empty());
}

}  // namespace

TEST_SUITE("segment") {
  TEST_CASE("ring capacities are powers of two within the limits") {
    for (uint32_t capacity = kRingBytesMin; capacity <= kRingBytesMax; capacity *= 2) {
      CHECK(IsRingCapacity(capacity));
      CHECK_FALSE(IsRingCapacity(capacity + 8));
      CHECK_FALSE(IsRingCapacity(capacity - 1));
    }
    for (const uint32_t capacity : {0u, 1u, 512u, 1u << 31, UINT32_MAX}) CHECK_FALSE(IsRingCapacity(capacity));
  }

  TEST_CASE("a segment is as large as its header, its lanes and its rings, in whole pages") {
    CHECK(SegmentBytes({}) == PageBytes());
    for (const std::vector<uint32_t>& capacities :
         {std::vector<uint32_t>{1024}, {4096, 1024}, {65536, 65536, 65536}, std::vector<uint32_t>(256, 1024)}) {
      uint64_t needed = kLanesOffset + capacities.size() * kLaneStride;
      for (const uint32_t capacity : capacities) needed += capacity;
      CHECK(SegmentBytes(capacities) >= needed);
      CHECK(SegmentBytes(capacities) < needed + PageBytes());
      CHECK(SegmentBytes(capacities) % PageBytes() == 0);
    }
    // Beyond 32 bits it is counted right, so that it can be refused.
    CHECK(SegmentBytes({1u << 30, 1u << 30, 1u << 30, 1u << 30}) > UINT32_MAX);
  }

  TEST_CASE("a peer finds the rings where the owner put them, apart from each other and from the header") {
    const std::vector<uint32_t> capacities{1024, 65536, 2048, 1024};
    const Created segment(capacities);
    Attached attached;
    REQUIRE(Attach(segment, &attached).ok());
    REQUIRE(attached.rings.size() == capacities.size());
    uint64_t end = kLanesOffset + capacities.size() * kLaneStride;
    for (uint32_t lane = 0; lane < capacities.size(); lane++) {
      const RingPlace& ring = attached.rings[lane];
      CHECK(ring.capacity == capacities[lane]);
      CHECK(ring.offset == TailOf(segment.own.base(), lane)->offset);
      CHECK(ring.offset % kLineBytes == 0);
      CHECK(ring.offset >= end);
      end = ring.offset + ring.capacity;
    }
    CHECK(end <= segment.own.bytes());
    CHECK_FALSE(attached.mapping.writable());
  }

  TEST_CASE("all positions start where the creator says, and nobody is parked") {
    for (const uint32_t first : {0u, 8u, UINT32_MAX - 7}) {
      const Created segment({1024, 1024}, first);
      for (uint32_t lane = 0; lane < 2; lane++) {
        CHECK(TailOf(segment.own.base(), lane)->tail.load() == first);
        CHECK(TailOf(segment.own.base(), lane)->want.load() == 0);
        CHECK(HeadOf(segment.own.base(), lane)->head.load() == first);
      }
      CHECK(ParkOf(segment.own.base())->park.load() == 0);
    }
  }

  TEST_CASE("each line that two sides write is a line of its own") {
    const Created segment({1024, 1024});
    std::vector<uint8_t*> lines{segment.own.base(), reinterpret_cast<uint8_t*>(ParkOf(segment.own.base())),
                                segment.own.base() + kPulseOffset};
    for (uint32_t lane = 0; lane < 2; lane++) {
      lines.push_back(reinterpret_cast<uint8_t*>(TailOf(segment.own.base(), lane)));
      lines.push_back(reinterpret_cast<uint8_t*>(HeadOf(segment.own.base(), lane)));
    }
    for (size_t i = 0; i < lines.size(); i++)
      CHECK(lines[i] == segment.own.base() + i * kLineBytes);
  }

  TEST_CASE("no lanes, and as many as allowed, can be made; one more can't") {
    Attached attached;
    CHECK(Attach(Created(std::vector<uint32_t>{}), &attached).ok());
    CHECK(Attach(Created(std::vector<uint32_t>(kLanesMax, kRingBytesMin)), &attached).ok());
    CHECK(attached.rings.size() == kLanesMax);
    Fd file;
    Mapping own;
    CHECK(CreateSegment(SegmentKind::kSession, std::vector<uint32_t>(kLanesMax + 1, kRingBytesMin), 0, &file, &own)
              .code() == Code::kTooLarge);
  }

  TEST_CASE("a ring that is no power of two, or a segment beyond 32 bits, can't be made") {
    Fd file;
    Mapping own;
    for (const std::vector<uint32_t>& capacities :
         {std::vector<uint32_t>{1000}, {4096, 512}, {0}, {1u << 31}, {1u << 30, 1u << 30, 1u << 30, 1u << 30}}) {
      CHECK(CreateSegment(SegmentKind::kSession, capacities, 0, &file, &own).code() == Code::kTooLarge);
      CHECK_FALSE(file.valid());
    }
  }

  TEST_CASE("attaching refuses another kind, size, or what is larger than the limit") {
    const Created segment({1024}, 0, SegmentKind::kChannel);
    Attached attached;
    CHECK(Attach(segment, &attached, SegmentKind::kSession).code() == Code::kBadLayout);
    CHECK(Attach(segment, &attached, SegmentKind::kRecorder).code() == Code::kBadLayout);
    const uint64_t bytes = segment.own.bytes();
    CHECK(AttachSegment(segment.file.get(), bytes + PageBytes(), UINT32_MAX, SegmentKind::kChannel, &attached.mapping,
                        &attached.rings)
              .code() == Code::kBadSegment);
    CHECK(AttachSegment(segment.file.get(), bytes, bytes - 1, SegmentKind::kChannel, &attached.mapping,
                        &attached.rings)
              .code() == Code::kTooLarge);
    CHECK(Attach(segment, &attached, SegmentKind::kChannel).ok());
  }

  TEST_CASE("a segment of an arena is read through a descriptor that can't be written, and gives pages back") {
    Fd lent;
    Mapping own;
    REQUIRE(CreateArenaSegment(100'000, &lent, &own).ok());
    CHECK(own.bytes() % PageBytes() == 0);
    CHECK(::mmap(nullptr, own.bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, lent.get(), 0) == MAP_FAILED);
    Mapping read;
    std::vector<RingPlace> rings;
    REQUIRE(AttachSegment(lent.get(), own.bytes(), own.bytes(), SegmentKind::kArena, &read, &rings).ok());
    CHECK(rings.empty());
    own.base()[5000] = 7;
    CHECK(read.base()[5000] == 7);
    // Only whole pages go.
    REQUIRE(GivePagesBack(own, 4097, PageBytes()).ok());
    CHECK(read.base()[5000] == 7);
    REQUIRE(GivePagesBack(own, PageBytes(), own.bytes() - PageBytes()).ok());
    CHECK(read.base()[5000] == 0);
    CHECK(AttachSegment(lent.get(), own.bytes(), own.bytes(), SegmentKind::kArena, &read, &rings).ok());
    CHECK(AttachSegment(lent.get(), own.bytes(), own.bytes(), SegmentKind::kSession, &read, &rings).code() ==
          Code::kBadLayout);
    CHECK(GivePagesBack(own, own.bytes() + 1, 0).code() == Code::kTooLarge);
    CHECK(GivePagesBack(own, 1, own.bytes()).code() == Code::kTooLarge);
    CHECK(GivePagesBack(read, 0, own.bytes()).code() == Code::kTooLarge);
  }

  TEST_CASE("a segment of an arena has room for a block and offsets of 32 bits") {
    for (const uint64_t bytes : {uint64_t{0}, uint64_t{kLineBytes}, uint64_t{1} << 32, UINT64_MAX}) {
      Fd lent;
      Mapping own;
      CHECK(CreateArenaSegment(bytes, &lent, &own).code() == Code::kTooLarge);
    }
  }

  TEST_CASE("attaching refuses memory that was never formatted") {
    Fd file;
    Mapping own;
    REQUIRE(CreateMemory("test", PageBytes(), Access::kOwnerOnly, &file, &own).ok());
    Attached attached;
    CHECK(AttachSegment(file.get(), PageBytes(), PageBytes(), SegmentKind::kSession, &attached.mapping,
                        &attached.rings)
              .code() == Code::kBadLayout);
  }

  TEST_CASE("attaching refuses another magic, layout or size in the header") {
    CheckSpoiled([](const Created& segment) { segment.header()->magic ^= 1; });
    CheckSpoiled([](const Created& segment) { segment.header()->layout_hash ^= 1; });
    CheckSpoiled([](const Created& segment) { segment.header()->kind = 0; });
    CheckSpoiled([](const Created& segment) { segment.header()->bytes += PageBytes(); });
    CheckSpoiled([](const Created& segment) { segment.header()->bytes = 0; });
  }

  TEST_CASE("attaching refuses more lanes than allowed, or than the segment has room for") {
    CheckSpoiled([](const Created& segment) { segment.header()->lane_count = kLanesMax + 1; });
    CheckSpoiled([](const Created& segment) { segment.header()->lane_count = UINT32_MAX; });
    CheckSpoiled([](const Created& segment) { segment.header()->lane_count = kLanesMax; });
    // The third lane would stand where the first ring does.
    CheckSpoiled([](const Created& segment) { segment.header()->lane_count = 3; });
  }

  TEST_CASE("attaching refuses a ring that is no power of two, or too small or too large") {
    for (const uint32_t capacity : {0u, 1u, 512u, 1000u, 4095u, 8192u, 1u << 30, 1u << 31, UINT32_MAX})
      CheckSpoiled([=](const Created& segment) { TailOf(segment.own.base(), 1)->capacity = capacity; });
  }

  TEST_CASE("attaching refuses a ring over the header or the lanes, outside the segment, or off its alignment") {
    const uint32_t bytes = static_cast<uint32_t>(SegmentBytes({4096, 1024}));
    const uint32_t lanes_end = kLanesOffset + 2 * kLaneStride;
    for (const uint32_t offset : {0u, kLineBytes, kLanesOffset, lanes_end - 8, lanes_end + 4, lanes_end + 1,
                                  bytes - 1016, bytes, bytes + 8, UINT32_MAX - 7, UINT32_MAX - 1023})
      CheckSpoiled([=](const Created& segment) { TailOf(segment.own.base(), 1)->offset = offset; });
  }

  TEST_CASE("attaching a header of random words is refused or gives rings that lie within the segment") {
    Random random(4711);
    for (int round = 0; round < 2000; round++) {
      const Created segment({4096, 1024});
      const auto words = reinterpret_cast<uint32_t*>(segment.own.base());
      const uint32_t word_count = (kLanesOffset + 2 * kLaneStride) / sizeof(uint32_t);
      for (uint32_t hits = 1 + random.Below(3); hits > 0; hits--)
        words[random.Below(word_count)] = random.Below(2) == 0 ? random.Next() : random.Below(20000);
      Attached attached;
      if (!Attach(segment, &attached).ok()) continue;
      for (const RingPlace& ring : attached.rings) {
        REQUIRE(uint64_t{ring.offset} + ring.capacity <= attached.mapping.bytes());
        REQUIRE(ring.offset >= kLanesOffset);
      }
    }
  }
}

}  // namespace actor_ipc
