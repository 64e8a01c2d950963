// Soak: processes set, read and delete in one cache while they are killed at random. Every value that is ever read is one that
// was set for that key, whole; nothing that is known to be deleted comes back; and after each kill the table is as it must be.
//
// usage: actor_ipc_cache_soak [--kills N] [--seed S]
//
// The ledger: for each key, the greatest number of a set that was begun and of one that was done, and for keys "gone-N" that
// their delete was done; it is in memory that outlives the processes. A value names its key and its number. One writer at a
// time has a key (its number is the writer's), so a read must be at least the last one that was done before it began, or
// nothing, if it was evicted.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <memory>
#include <string>
#include <vector>

#include "test/cache_ends.h"
#include "test/child.h"
#include "test/random.h"

namespace actor_ipc {

namespace {

constexpr uint32_t kWorkers = 4;
constexpr uint32_t kKeysEach = 40;
constexpr uint32_t kKillsPerRound = 100;
constexpr uint32_t kCapacity = 120;

struct Ledger {
  std::atomic<uint32_t> begun[kWorkers][kKeysEach];
  std::atomic<uint32_t> done[kWorkers][kKeysEach];
  /// The number of the last delete that was done; what was set before it must not be read any more.
  std::atomic<uint32_t> deleted[kWorkers][kKeysEach];
  std::atomic<uint64_t> calls;
};

[[noreturn]] void Fail(const std::string& what) {
  fprintf(stderr, "failed: %s\n", what.c_str());
  ::exit(1);
}

void Need(const Status& status, const char* what) {
  if (!status.ok()) Fail(std::string(what) + ": " + status.step());
}

template <typename Call>
Status Patiently(Call call) {
  for (;;)
    if (const Status status = call(); status.code() != Code::kLocked) return status;
}

std::string KeyOf(uint32_t worker, uint32_t key) { return "key-" + std::to_string(worker) + "-" + std::to_string(key); }

std::string TextOf(const std::string& key, uint32_t number) {
  std::string text = key + ":" + std::to_string(number) + ":";
  while (text.size() < 20 + number * 7 % 300) text += static_cast<char>('a' + (number + text.size()) % 26);
  return text;
}

struct Work {
  Cache* cache;
  Ledger* ledger;
  uint32_t worker;
  Random random;

  void Set() {
    const uint32_t key = random.Below(kKeysEach);
    const std::string name = KeyOf(worker, key);
    const uint32_t number = ledger->begun[worker][key] + 1;
    ledger->begun[worker][key] = number;
    const std::string text = TextOf(name, number);
    CacheAnswer answer = CacheAnswer::kDone;
    Need(Patiently([&] { return cache->Set(name, ValueOf(text), 1, &answer); }), "set");
    if (answer != CacheAnswer::kDone) Fail("a set was refused");
    ledger->done[worker][key] = number;
  }

  void Delete() {
    const uint32_t key = random.Below(kKeysEach);
    const uint32_t number = ledger->begun[worker][key];
    CacheAnswer answer = CacheAnswer::kDone;
    const double stamp = random.Below(2) == 0 ? 0 : 1;
    Need(Patiently([&] { return cache->Delete(KeyOf(worker, key), kAnyRevision, stamp, 1e9, 1, &answer); }), "delete");
    ledger->deleted[worker][key] = number;
  }

  void Read() {
    const uint32_t whose = random.Below(kWorkers);
    const uint32_t key = random.Below(kKeysEach);
    const std::string name = KeyOf(whose, key);
    const uint32_t done = ledger->done[whose][key];
    const uint32_t deleted = ledger->deleted[whose][key];
    CacheFound found;
    const Status status = cache->Get(name, 1, &found);
    if (status.code() == Code::kNotFound || found.form == ValueForm::kForgotten) return;
    Need(status, "get");
    const std::string text(found.bytes.begin(), found.bytes.end());
    const size_t at = name.size() + 1;
    const uint32_t number = text.size() > at ? static_cast<uint32_t>(strtoul(text.c_str() + at, nullptr, 10)) : 0;
    if (text != TextOf(name, number)) Fail("a value was torn, or is of another key: " + name + " has " + text);
    if (number < done) Fail("an older value than the last one that was set");
    if (number <= deleted && deleted != 0) Fail("a value came back that was deleted");
    if (number > ledger->begun[whose][key]) Fail("a value that nobody has set");
  }
};

std::unique_ptr<Cache> Attach(const Fd& file) {
  Mapping mapping;
  Need(AttachCache(file.get(), &mapping), "attach");
  return std::make_unique<Cache>(std::make_shared<Mapping>(std::move(mapping)));
}

int RunWorker(const Fd& file, Ledger* ledger, uint32_t worker, uint32_t seed) {
  const std::unique_ptr<Cache> cache = Attach(file);
  Work work{cache.get(), ledger, worker, Random(seed)};
  Need(Patiently([&] { return cache->Join(); }), "join");
  for (;;) {
    ledger->calls++;
    switch (work.random.Below(20)) {
      case 0: work.Delete(); break;
      case 1: Need(Patiently([&] { return cache->Arm("key-1"); }), "arm"); break;
      case 2: {
        uint32_t removed = 0;
        Need(Patiently([&] { return cache->Sweep(20, 1, &removed); }), "sweep");
        break;
      }
      case 3: case 4: case 5: case 6: case 7: case 8: work.Set(); break;
      default: work.Read(); break;
    }
    (void)cache->TakeRings();
  }
}

void Sleep(uint32_t us) {
  const timespec time{0, static_cast<long>(us) * 1000};
  ::nanosleep(&time, nullptr);
}

int Soak(uint32_t kills, uint32_t seed) {
  void* memory = ::mmap(nullptr, sizeof(Ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Fail("mmap");
  auto* ledger = new (memory) Ledger;
  Random random(seed);
  uint64_t repairs = 0;
  for (uint32_t done = 0; done < kills;) {
    const uint32_t share = std::min(kills - done, kKillsPerRound);
    CacheShape shape;
    shape.capacity = kCapacity;
    shape.record_bytes = 384;
    shape.shards = 1 + done / kKillsPerRound % 3;
    shape.tombstones = 40;
    Fd file;
    Mapping mapping;
    Need(CreateCache(shape, &file, &mapping), "create");
    auto shared = std::make_shared<Mapping>(std::move(mapping));
    for (auto& row : ledger->begun) for (auto& cell : row) cell = 0;
    for (auto& row : ledger->done) for (auto& cell : row) cell = 0;
    for (auto& row : ledger->deleted) for (auto& cell : row) cell = 0;
    std::vector<std::unique_ptr<Child>> workers;
    const auto start = [&](uint32_t worker) {
      const uint32_t own = random.Next() | 1;
      return std::make_unique<Child>([&, own] { return RunWorker(file, ledger, worker, own); });
    };
    for (uint32_t i = 0; i < kWorkers; i++) workers.push_back(start(i));
    for (uint32_t i = 0; i < share; i++) {
      Sleep(random.Below(3000));
      const uint32_t chosen = random.Below(kWorkers);
      ::kill(workers[chosen]->pid(), SIGKILL);
      if (workers[chosen]->Reap() != -SIGKILL) Fail("a worker ended by itself");
      workers[chosen] = start(chosen);
    }
    for (auto& worker : workers) {
      ::kill(worker->pid(), SIGKILL);
      if (worker->Reap() != -SIGKILL) Fail("a worker ended by itself");
    }
    Cache cache(shared);
    CacheStats stats;
    Need(Patiently([&] { return cache.Stats(&stats); }), "stats");
    repairs += stats.repairs;
    if (stats.users != 0) Fail("a dead user has its slot");
    if (const std::string problem = CacheProblem(*shared); !problem.empty()) Fail(problem);
    Work reader{&cache, ledger, 0, Random(random.Next() | 1)};
    for (uint32_t i = 0; i < 1000; i++) reader.Read();
    done += share;
  }
  printf("%u kills, seed %u: %llu calls, %llu found the lock of a dead holder\n", kills, seed,
         static_cast<unsigned long long>(ledger->calls.load()), static_cast<unsigned long long>(repairs));
  return 0;
}

}  // namespace

}  // namespace actor_ipc

int main(int count, char** arguments) {
  uint32_t kills = 200;
  uint32_t seed = 1;
  for (int i = 1; i + 1 < count; i += 2) {
    const uint32_t value = static_cast<uint32_t>(strtoul(arguments[i + 1], nullptr, 10));
    if (strcmp(arguments[i], "--kills") == 0) kills = value;
    else if (strcmp(arguments[i], "--seed") == 0 && value > 0) seed = value;
    else return 2;
  }
  return actor_ipc::Soak(kills, seed);
}
