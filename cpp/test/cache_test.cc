#include "shm/cache.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <thread>

#include "doctest/doctest.h"
#include "os/process.h"
#include "shm/crash_point.h"
#include "shm/key_hash.h"
#include "test/cache_ends.h"
#include "test/child.h"
#include "test/crash_point.h"
#include "test/random.h"

namespace actor_ipc {

namespace {

CacheShape Shape(uint32_t capacity, uint32_t shards = 1, uint32_t tombstones = 0) {
  CacheShape shape;
  shape.capacity = capacity;
  shape.record_bytes = 200;
  shape.shards = shards;
  shape.tombstones = tombstones;
  shape.seed = 7;
  return shape;
}

struct CacheFile {
  Fd file;
  std::shared_ptr<Mapping> mapping;

  explicit CacheFile(const CacheShape& shape) {
    Mapping mapped;
    REQUIRE(CreateCache(shape, &file, &mapped).ok());
    mapping = std::make_shared<Mapping>(std::move(mapped));
  }
  std::shared_ptr<Mapping> Elsewhere() const {
    Mapping mapped;
    if (!AttachCache(file.get(), &mapped).ok()) return nullptr;
    return std::make_shared<Mapping>(std::move(mapped));
  }
  std::string Problem() const { return CacheProblem(*mapping); }
};

Status Put(Cache* cache, const std::string& key, const std::string& text, double now_ms = 1) {
  CacheAnswer answer;
  return cache->Set(key, ValueOf(text), now_ms, &answer);
}

/// The value, or "-".
std::string Get(Cache* cache, const std::string& key, double now_ms = 1) {
  CacheFound found;
  if (!cache->Get(key, now_ms, &found).ok() || found.form == ValueForm::kForgotten) return "-";
  return {found.bytes.begin(), found.bytes.end()};
}

std::string TextFor(const std::string& key, uint32_t turn) {
  std::string text = key + "=" + std::to_string(turn) + ";";
  while (text.size() < 20 + turn % 150) text += static_cast<char>('a' + turn % 26);
  return text;
}

bool IsWhole(const std::string& key, const std::string& text) {
  if (text == "-") return true;
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return false;
  return text == TextFor(key, static_cast<uint32_t>(std::strtoul(text.c_str() + equals + 1, nullptr, 10)));
}

#ifdef __SANITIZE_THREAD__
constexpr uint64_t kStride = 7;
constexpr uint32_t kTurns = 2'000;
#else
constexpr uint64_t kStride = 1;
constexpr uint32_t kTurns = 10'000;
#endif

constexpr const char* kKeys[] = {"a", "b", "c", "d", "e", "f", "new0", "new1", "new2", "new3", "never"};

using Script = std::function<void(Cache*)>;

/// On a full cache of 4 with "a" to "d" (of which "d" is a tombstone) and room for 2 tombstones.
const std::vector<std::pair<const char*, Script>> kScripts = {
    {"sets", [](Cache* cache) { (void)Put(cache, "a", TextFor("a", 1), 2); }},
    {"inserts, and evicts", [](Cache* cache) {
       for (uint32_t i = 0; i < 4; i++) {
         const std::string key = "new" + std::to_string(i);
         (void)Put(cache, key, TextFor(key, i), 2);
       }
     }},
    {"deletes, with and without a tombstone", [](Cache* cache) {
       CacheAnswer answer;
       (void)cache->Delete("b", kAnyRevision, 0, 0, 2, &answer);
       for (const char* key : {"a", "c", "never"}) (void)cache->Delete(key, kAnyRevision, 50, 1000, 2, &answer);
     }},
    {"sets over a tombstone, touches and sweeps", [](Cache* cache) {
       CacheAnswer answer;
       (void)Put(cache, "d", TextFor("d", 3), 2);
       (void)cache->Touch("a", 5, 2, &answer);
       uint32_t removed = 0;
       (void)cache->Sweep(100, 10, &removed);
     }},
    {"watches, clears and leaves", [](Cache* cache) {
       (void)cache->Arm("a");
       (void)Put(cache, "a", TextFor("a", 9), 2);
       uint32_t left = 0;
       (void)cache->Clear(100, &left);
       (void)cache->Disarm();
       (void)cache->Leave();
       (void)cache->Join();
     }},
};

struct Scene {
  CacheFile file;
  Cache survivor;
  std::map<std::string, std::string> initial;

  Scene() : file(Shape(4, 1, 2)), survivor(file.mapping) {
    REQUIRE(survivor.Join().ok());
    for (const char* key : {"a", "b", "c", "d", "e"}) REQUIRE(Put(&survivor, key, TextFor(key, 0)).ok());
    CacheAnswer answer;
    REQUIRE(survivor.Delete("d", kAnyRevision, 20, 100000, 1, &answer).ok());
    REQUIRE(Put(&survivor, "f", TextFor("f", 0)).ok());
    REQUIRE(Put(&survivor, "a", TextFor("a", 0)).ok());
    for (const char* key : kKeys) initial[key] = Get(&survivor, key, 3);
  }

  /// In a process of its own, which dies at its `step`-th crash point; 0 kills nobody.
  int Run(const Script& script, uint64_t step, std::atomic<uint64_t>* steps = nullptr) {
    Child child([&] {
      Cache cache(file.Elsewhere());
      if (!cache.Join().ok()) return 3;
      DieAtCrashPoint(step);
      script(&cache);
      if (steps != nullptr) *steps = CrashPointsPassed();
      return 0;
    });
    return child.Reap();
  }

  void CheckAfterwards() {
    // What is read before anybody has repaired anything is whole already, and a change that is seen stays.
    std::map<std::string, std::string> before;
    for (const char* key : kKeys) {
      before[key] = Get(&survivor, key, 3);
      CHECK(IsWhole(key, before[key]));
    }
    CacheStats stats;
    REQUIRE(survivor.Stats(&stats).ok());
    REQUIRE(file.Problem() == "");
    CHECK(stats.users == 1);
    for (const auto& [key, text] : before)
      if (text != initial[key]) CHECK(Get(&survivor, key, 3) != initial[key]);
    // And it goes on.
    for (uint32_t i = 0; i < 10; i++) REQUIRE(Put(&survivor, "k" + std::to_string(i), TextFor("k", i), 3).ok());
    CHECK(Get(&survivor, "k9", 3) == TextFor("k", 9));
    REQUIRE(survivor.Stats(&stats).ok());
    CHECK(stats.records == 4);
    REQUIRE(file.Problem() == "");
  }
};

struct Steps {
  std::atomic<uint64_t>* count;
  Steps()
      : count(new (::mmap(nullptr, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
                  std::atomic<uint64_t>(0)) {}
  Steps(const Steps&) = delete;
  Steps& operator=(const Steps&) = delete;
  ~Steps() { ::munmap(count, sizeof *count); }
};

uint64_t StepsOf(const Script& script) {
  Steps steps;
  Scene scene;
  REQUIRE(scene.Run(script, 0, steps.count) == 0);
  return *steps.count;
}

}  // namespace

TEST_SUITE("cache") {
  TEST_CASE("hashes as XXH32 does") {
    const auto hash = [](const char* text, uint32_t seed) {
      return KeyHash(reinterpret_cast<const uint8_t*>(text), static_cast<uint32_t>(strlen(text)), seed);
    };
    CHECK(hash("", 0) == 0x02cc5d05);
    CHECK(hash("a", 0) == 0x550d7456);
    CHECK(hash("abc", 0) == 0x32d153ff);
    CHECK(hash("Nobody inspects the spammish repetition", 0) == 0xe2293b2f);
  }

  TEST_CASE("keeps exactly its capacity, whatever the number of shards") {
    for (const uint32_t shards : {1u, 3u, 7u}) {
      CacheFile file(Shape(50, shards));
      Cache cache(file.mapping);
      for (uint32_t i = 0; i < 2000; i++) REQUIRE(Put(&cache, "k" + std::to_string(i), "v").ok());
      CacheStats stats;
      REQUIRE(cache.Stats(&stats).ok());
      CHECK(stats.records == 50);
      CHECK(stats.counters[kCountEvicted] == 1950);
      REQUIRE(file.Problem() == "");
    }
  }

  TEST_CASE("refuses what can't be a cache") {
    Fd file;
    Mapping mapping;
    for (CacheShape shape : {Shape(0), Shape(3, 4), Shape(kCacheCapacityMax + 1), Shape(10, 0)})
      CHECK(CreateCache(shape, &file, &mapping).code() == Code::kTooLarge);
    CacheShape large = Shape(1 << 24);
    large.record_bytes = kCacheRecordBytesMax;
    CHECK(CreateCache(large, &file, &mapping).code() == Code::kTooLarge);
    CacheFile there(Shape(10));
    auto* header = reinterpret_cast<CacheHeader*>(there.mapping->base());
    header->shape.capacity = 1000;
    CHECK(AttachCache(there.file.get(), &mapping).code() == Code::kBadLayout);
    header->shape.capacity = 10;
    header->layout_hash++;
    CHECK(AttachCache(there.file.get(), &mapping).code() == Code::kBadLayout);
  }

  TEST_CASE("does as a map, at random, and is whole after each step") {
    Random random(11);
    CacheFile file(Shape(1000, 2, 20));
    Cache cache(file.mapping);
    std::map<std::string, std::string> model;
    for (uint32_t turn = 0; turn < kTurns; turn++) {
      const std::string key = "k" + std::to_string(random.Below(300));
      CacheAnswer answer = CacheAnswer::kDone;
      switch (random.Below(4)) {
        case 0:
          REQUIRE(cache.Delete(key, kAnyRevision, 0, 0, 1, &answer).ok());
          CHECK((answer == CacheAnswer::kDone) == (model.erase(key) == 1));
          break;
        case 1: CHECK(Get(&cache, key) == (model.contains(key) ? model[key] : "-")); break;
        default:
          model[key] = TextFor(key, turn);
          REQUIRE(Put(&cache, key, model[key]).ok());
      }
      if (turn % 500 == 0) REQUIRE(file.Problem() == "");
    }
    REQUIRE(file.Problem() == "");
    for (const auto& [key, text] : model) CHECK(Get(&cache, key) == text);
  }

  TEST_CASE("hands over what it evicts, one record of each call, and never what is over by itself") {
    struct {
      CacheEvicted record;
      uint8_t value[200];
    } evicted{};
    const auto text = [&] {
      return std::string(evicted.record.key, evicted.record.key + evicted.record.key_bytes) + "=" +
             std::string(evicted.value, evicted.value + evicted.record.value_bytes);
    };
    CacheShape shape = Shape(3, 1, 2);
    shape.aged_out_ms = 100;
    CacheFile file(shape);
    Cache cache(file.mapping);
    cache.Catch(&evicted.record);
    CacheAnswer answer;
    const std::string one = "1";
    CacheValue value = ValueOf(one);
    value.stamp = 41;
    value.ttl_ms = 500;
    REQUIRE(cache.Set("a", value, 1, &answer).ok());
    for (const char* key : {"b", "c"}) REQUIRE(Put(&cache, key, "2", 2).ok());
    CHECK(evicted.record.key_bytes == 0);
    REQUIRE(Put(&cache, "d", "3", 11).ok());
    CHECK(text() == "a=1");
    CHECK(evicted.record.stamp == 41);
    CHECK(evicted.record.ttl_ms == 490);
    CHECK(evicted.record.aged == 0);
    // Neither a delete nor the end of a life is one.
    REQUIRE(cache.Delete("d", kAnyRevision, 50, 1000, 11, &answer).ok());
    value.ttl_ms = 5;
    REQUIRE(cache.Set("short", value, 11, &answer).ok());
    uint32_t removed = 0;
    REQUIRE(cache.Sweep(100, 20, &removed).ok());
    CHECK(removed == 1);
    CHECK(evicted.record.key_bytes == 0);
    // "b" and "c" have aged: one for each sweep.
    std::string aged;
    for (uint32_t i = 0; i < 2; i++) {
      REQUIRE(cache.Sweep(100, 102, &removed).ok());
      CHECK(removed == 1);
      CHECK(evicted.record.aged == 1);
      CHECK(evicted.record.ttl_ms == 0);
      aged += text() + ";";
    }
    CHECK((aged == "b=2;c=2;" || aged == "c=2;b=2;"));
    REQUIRE(cache.Sweep(100, 102, &removed).ok());
    CHECK(removed == 0);
    CHECK(evicted.record.key_bytes == 0);
    // With a full table of aged ones, a set hands over one and keeps the rest.
    for (const char* key : {"x", "y", "z"}) REQUIRE(Put(&cache, key, "4", 200).ok());
    value.ttl_ms = 0;
    REQUIRE(cache.Set("new", value, 300, &answer).ok());
    CHECK(evicted.record.aged == 1);
    CacheStats stats;
    REQUIRE(cache.Stats(&stats).ok());
    CHECK(stats.records == 3);
    CHECK(stats.counters[kCountAged] == 3);
    REQUIRE(file.Problem() == "");
  }

  TEST_CASE("takes memory for what was used, and none for what has room") {
    CacheFile file(Shape(100'000));
    Cache cache(file.mapping);
    for (uint32_t i = 0; i < 10; i++) REQUIRE(Put(&cache, "k" + std::to_string(i), "v").ok());
    uint32_t removed = 0;
    REQUIRE(cache.Sweep(200'000, 1, &removed).ok());
    struct stat about {};
    REQUIRE(::fstat(file.file.get(), &about) == 0);
    // The buckets of ten keys are ten pages at most.
    CHECK(static_cast<uint64_t>(about.st_blocks) * 512 < uint64_t{64} * 4096);
    CHECK(about.st_size > 20'000'000);
    REQUIRE(file.Problem() == "");
  }

  TEST_CASE("readers without a lock see whole values, and always find what is there throughout") {
    CacheFile file(Shape(40));
    {
      Cache cache(file.mapping);
      REQUIRE(Put(&cache, "stays", TextFor("stays", 0)).ok());
    }
    std::atomic<bool> stop{false};
    std::atomic<uint32_t> wrong{0};
    std::vector<std::thread> threads;
    for (uint32_t writer = 0; writer < 2; writer++)
      threads.emplace_back([&, writer] {
        Cache cache(file.Elsewhere());
        for (uint32_t turn = 0; turn < kTurns; turn++) {
          const std::string key = turn % 8 == 0 ? "stays" : "k" + std::to_string((turn * 7 + writer) % 30);
          const Status status = Put(&cache, key, TextFor(key, turn));
          if (!status.ok() && status.code() != Code::kLocked) wrong++;
          CacheAnswer answer;
          if (turn % 5 == 0) (void)cache.Delete("k" + std::to_string(turn % 30), kAnyRevision, 0, 0, 1, &answer);
        }
        stop = true;
      });
    threads.emplace_back([&] {
      Cache cache(file.Elsewhere());
      for (uint32_t turn = 0; !stop; turn++) {
        const std::string key = "k" + std::to_string(turn % 30);
        if (!IsWhole(key, Get(&cache, key))) wrong++;
        const std::string stays = Get(&cache, "stays");
        if (stays == "-" || !IsWhole("stays", stays)) wrong++;
      }
    });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    REQUIRE(file.Problem() == "");
  }

  TEST_CASE("a process that is killed at any step leaves the old or the new, and the others go on") {
    for (const auto& [name, script] : kScripts) {
      CAPTURE(name);
      const uint64_t steps = StepsOf(script);
      REQUIRE(steps > 20);
      for (uint64_t step = 1; step <= steps; step += kStride) {
        CAPTURE(step);
        Scene scene;
        REQUIRE(scene.Run(script, step) == -SIGKILL);
        scene.CheckAfterwards();
      }
    }
  }

  TEST_CASE("whoever is killed while he repairs is followed by another who finishes it") {
    Random random(3);
    for (const auto& [name, script] : kScripts) {
      CAPTURE(name);
      const uint64_t steps = StepsOf(script);
      for (uint32_t round = 0; round < 25; round += kStride) {
        const uint64_t step = 1 + random.Below(static_cast<uint32_t>(steps));
        const uint64_t repair_step = 1 + random.Below(30);
        CAPTURE(step);
        CAPTURE(repair_step);
        Scene scene;
        REQUIRE(scene.Run(script, step) == -SIGKILL);
        (void)scene.Run([](Cache* cache) { (void)Put(cache, "a", TextFor("a", 5), 2); }, repair_step);
        scene.CheckAfterwards();
      }
    }
  }

  TEST_CASE("the scripts pass every crash point of a cache") {
    NameCrashPoints(true);
    for (const auto& [name, script] : kScripts) {
      Scene scene;
      Cache cache(scene.file.Elsewhere());
      REQUIRE(cache.Join().ok());
      script(&cache);
    }
    NameCrashPoints(false);
    for (const char* name : {"cache.writing", "cache.half-written", "cache.written", "cache.noted", "cache.touching",
                             "cache.joining", "journal.publishing", "journal.decided", "journal.published"}) {
      CAPTURE(name);
      CHECK(CrashPointNames().contains(name));
    }
  }

  TEST_CASE("a word that somebody has written over ends in an answer") {
    Random random(5);
    for (uint32_t round = 0; round < kTurns / 20; round++) {
      CAPTURE(round);
      CacheFile file(Shape(10, 1, 3));
      Cache cache(file.mapping);
      for (uint32_t i = 0; i < 12; i++) REQUIRE(Put(&cache, "k" + std::to_string(i), "value").ok());
      auto* words = reinterpret_cast<Word*>(file.mapping->base() + kShardsOffset);
      const uint32_t count = static_cast<uint32_t>((file.mapping->bytes() - kShardsOffset) / sizeof(Word));
      const uint32_t begin = random.Below(2) == 0 ? 0 : (kBucketsOffset) / sizeof(Word);
      for (uint32_t i = 0; i < 1 + round % 20; i++) {
        Word& word = words[begin + random.Below(count - begin)];
        // Not the lock: its holder would be some thread that lives.
        if (&word != words) word = random.Below(2) == 0 ? random.Next() : random.Below(20);
      }
      for (uint32_t i = 0; i < 15; i++) {
        const std::string key = "k" + std::to_string(i);
        CacheAnswer answer;
        CacheFound found;
        uint32_t number = 0;
        (void)cache.Get(key, 1, &found);
        (void)Put(&cache, key, "other");
        (void)cache.Delete(key, kAnyRevision, random.Below(2) * 5, 10, 1, &answer);
        (void)cache.Touch(key, 5, 1, &answer);
        (void)cache.Sweep(5, 100, &number);
      }
      uint32_t left = 0;
      (void)cache.Clear(100, &left);
    }
    CHECK(true);
  }
}

}  // namespace actor_ipc
