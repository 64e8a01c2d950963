// Soak: processes send and receive through the pipes of one region while they are killed at random, and nothing but
// what was in the hands of the dead is ever lost.
//
// usage: actor_ipc_region_soak [--kills N] [--seed S]
//
// In rounds: some processes work on two pipes, each killed process is recovered and replaced; at the end of a round all
// are killed, everything is recovered and every packet accounted for. Packets of the pipe "sure" are acknowledged: each
// must be seen. Packets of "fast" are taken for good: each is seen at most once, and at most one is lost for each kill.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "shm/region.h"
#include "test/child.h"
#include "test/random.h"
#include "test/region_check.h"

namespace actor_ipc {

namespace {

constexpr uint32_t kWorkers = 4;
constexpr uint32_t kKillsPerRound = 40;
constexpr uint32_t kNumbersMax = 1u << 20;
constexpr uint32_t kRegionBytes = 512 << 10;

/// What has become of each packet of a round, in memory that outlives the processes.
struct Book {
  std::atomic<uint32_t> numbers;
  std::atomic<uint8_t> begun[kNumbersMax];
  std::atomic<uint8_t> sent[kNumbersMax];
  std::atomic<uint8_t> seen[kNumbersMax];
  std::atomic<uint8_t> done[kNumbersMax];
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

uint32_t Checksum(const uint8_t* bytes, uint32_t count) {
  uint32_t sum = 1;
  for (uint32_t i = 0; i < count; i++) sum = sum * 31 + bytes[i];
  return sum;
}

/// Pipe, number, checksum, random bytes.
struct Head {
  uint32_t pipe;
  uint32_t number;
  uint32_t sum;
};

struct Work {
  Region* region;
  Book* book;
  uint32_t sure;
  uint32_t fast;
  Random random;

  void Send() {
    const uint32_t number = book->numbers++;
    if (number >= kNumbersMax) {
      book->numbers = kNumbersMax;
      return;
    }
    const uint32_t pipe = number % 2 == 0 ? sure : fast;
    std::vector<uint8_t> bytes;
    random.Fill(&bytes, static_cast<uint32_t>(sizeof(Head)) +
                            (random.Below(16) == 0 ? random.Below(20000) : random.Below(300)));
    const Head head{pipe, number, Checksum(bytes.data() + sizeof(Head), static_cast<uint32_t>(bytes.size() - sizeof(Head)))};
    memcpy(bytes.data(), &head, sizeof head);
    book->begun[number] = 1;
    Status status = Status::Ok();
    if (random.Below(4) == 0) {
      uint64_t block = 0;
      uint8_t* data = nullptr;
      status = Patiently([&] { return region->Construct(bytes.size(), &block, &data); });
      if (status.ok()) {
        memcpy(data, bytes.data(), bytes.size());
        status = Patiently([&] { return region->EnqueueBlock(pipe, block, random.Below(2) == 0); });
        Need(Patiently([&] { return region->Release(block); }), "release");
      }
    } else {
      status = Patiently([&] { return region->Enqueue(pipe, bytes.data(), bytes.size(), random.Below(2) == 0); });
    }
    if (status.ok()) book->sent[number] = 1;
    else if (status.code() == Code::kAgain || status.code() == Code::kNoMemory) book->begun[number] = 0;
    else Need(status, "enqueue");
  }

  void Receive(uint32_t pipe) {
    const Take take = pipe == sure ? Take::kAcknowledge : random.Below(2) == 0 ? Take::kCopy : Take::kBlock;
    Delivery delivery;
    const Status status = Patiently([&] { return region->Dequeue(pipe, take, random.Below(2) == 0, &delivery); });
    if (status.code() == Code::kAgain) return;
    Need(status, "dequeue");
    Head head;
    if (delivery.bytes < sizeof head) Fail("a packet is short");
    memcpy(&head, delivery.data, sizeof head);
    if (head.pipe != pipe || head.number >= kNumbersMax) Fail("a packet is in the wrong pipe");
    if (head.sum != Checksum(delivery.data + sizeof head, delivery.bytes - static_cast<uint32_t>(sizeof head)))
      Fail("a packet was torn");
    book->seen[head.number]++;
    if (take == Take::kAcknowledge) {
      if (random.Below(8) == 0) {
        book->seen[head.number]--;
        Need(Patiently([&] { return region->Reject(delivery.block); }), "reject");
      } else {
        Need(Patiently([&] { return region->Ack(delivery.block); }), "ack");
        book->done[head.number] = 1;
      }
    } else {
      book->done[head.number] = 1;
      if (delivery.block != 0) Need(Patiently([&] { return region->Release(delivery.block); }), "release");
    }
  }
};

std::unique_ptr<Region> Attach(const Fd& file) {
  Mapping mapping;
  Need(AttachRegion(file.get(), kRegionBytes * 2, &mapping), "attach");
  return std::make_unique<Region>(std::make_shared<Mapping>(std::move(mapping)));
}

int RunWorker(const Fd& file, Book* book, uint32_t seed) {
  const std::unique_ptr<Region> region = Attach(file);
  Work work{region.get(), book, 0, 0, Random(seed)};
  Need(Patiently([&] { return region->Join(); }), "join");
  Need(Patiently([&] { return region->OpenPipe("sure", 16, &work.sure); }), "pipe");
  Need(Patiently([&] { return region->OpenPipe("fast", 8, &work.fast); }), "pipe");
  for (;;) {
    switch (work.random.Below(16)) {
      case 0: Need(Patiently([&] { return region->Unwait(work.sure); }), "unwait"); break;
      case 1:
        Need(Patiently([&] { return region->Leave(); }), "leave");
        Need(Patiently([&] { return region->Join(); }), "join");
        break;
      case 2: case 3: case 4: case 5: case 6: case 7: work.Send(); break;
      default: work.Receive(work.random.Below(2) == 0 ? work.sure : work.fast); break;
    }
    (void)region->TakeRings();
  }
}

void Sleep(uint32_t us) {
  const timespec time{0, static_cast<long>(us) * 1000};
  ::nanosleep(&time, nullptr);
}

struct Totals {
  uint64_t packets = 0;
  uint64_t repairs = 0;
  uint64_t lost = 0;
  uint64_t repeated = 0;
};

class Round {
 public:
  Round(Book* book, Random* random) : book_(book), random_(random) {
    memset(static_cast<void*>(book), 0, sizeof(Book));
    Mapping mapping;
    Need(CreateRegion(kRegionBytes, &file_, &mapping), "create");
    mapping_ = std::make_shared<Mapping>(std::move(mapping));
    region_ = std::make_unique<Region>(mapping_);
    for (uint32_t i = 0; i < kWorkers; i++) workers_.push_back(Start());
  }

  void Run(uint32_t kills, Totals* totals) {
    for (uint32_t i = 0; i < kills; i++) {
      Sleep(random_->Below(2000));
      const uint32_t chosen = random_->Below(kWorkers);
      Kill(chosen);
      workers_[chosen] = Start();
    }
    for (uint32_t i = 0; i < kWorkers; i++) Kill(i);
    Account(kills + kWorkers, totals);
  }

 private:
  std::unique_ptr<Child> Start() {
    const uint32_t seed = random_->Next() | 1;
    return std::make_unique<Child>([&] { return RunWorker(file_, book_, seed); });
  }

  void Kill(uint32_t worker) {
    ::kill(workers_[worker]->pid(), SIGKILL);
    if (workers_[worker]->Reap() != -SIGKILL) Fail("a worker ended by itself");
    // Half of the dead are left to those who find the lock of a dead holder, or to the end of the round.
    if (random_->Below(2) == 0) RecoverAll();
  }

  void RecoverAll() {
    std::vector<RegionUser> users;
    Need(Patiently([&] { return region_->Users(&users); }), "users");
    for (const RegionUser& user : users) {
      const Status status = Patiently([&] { return region_->Recover(user); });
      if (status.code() != Code::kBusy) Need(status, "recover");
    }
  }

  void Account(uint32_t kills, Totals* totals) {
    RecoverAll();
    if (const std::string problem = RegionProblem(*mapping_); !problem.empty()) Fail(problem);
    Need(region_->Join(), "join");
    std::vector<bool> there(kNumbersMax);
    for (const char* name : {"sure", "fast"}) {
      uint32_t pipe = 0;
      if (!region_->OpenPipe(name, 0, &pipe).ok()) continue;
      Delivery delivery;
      while (region_->Dequeue(pipe, Take::kBlock, false, &delivery).ok()) {
        Head head;
        memcpy(&head, delivery.data, sizeof head);
        if (there[head.number]) Fail("a packet is there twice");
        there[head.number] = true;
        Need(region_->Release(delivery.block), "release");
      }
    }
    uint32_t lost = 0;
    const uint32_t numbers = std::min(book_->numbers.load(), kNumbersMax);
    for (uint32_t number = 0; number < numbers; number++) {
      const std::string name = "packet " + std::to_string(number);
      const bool sure = number % 2 == 0;
      totals->packets += book_->sent[number];
      if (there[number] && book_->begun[number] == 0) Fail(name + " was never sent");
      if (there[number] && book_->done[number] != 0) Fail(name + " came back");
      if (!sure && there[number] && book_->seen[number] != 0) Fail(name + " was given out twice");
      if (!sure && book_->seen[number] > 1) Fail(name + " was seen twice");
      if (sure && book_->seen[number] > 1) totals->repeated++;
      if (book_->sent[number] == 0 || there[number] || book_->seen[number] != 0) continue;
      if (sure) Fail(name + " is lost");
      lost++;
    }
    if (lost > kills) Fail("more packets are lost than processes were killed");
    RegionStats stats;
    Need(region_->Stats(&stats), "stats");
    if (stats.pool.blocks != 0) Fail("memory is lost");
    if (const std::string problem = RegionProblem(*mapping_); !problem.empty()) Fail(problem);
    totals->lost += lost;
    totals->repairs += stats.repairs;
  }

  Book* book_;
  Random* random_;
  Fd file_;
  std::shared_ptr<Mapping> mapping_;
  std::unique_ptr<Region> region_;
  std::vector<std::unique_ptr<Child>> workers_;
};

int Soak(uint32_t kills, uint32_t seed) {
  void* memory = ::mmap(nullptr, sizeof(Book), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Fail("mmap");
  auto* book = new (memory) Book;
  Random random(seed);
  Totals totals;
  for (uint32_t done = 0; done < kills;) {
    const uint32_t share = std::min(kills - done, kKillsPerRound);
    Round(book, &random).Run(share, &totals);
    done += share;
  }
  printf("%u kills, seed %u: %llu packets sent, %llu found the lock of a dead holder, %llu lost in dead hands, %llu seen again\n",
         kills, seed, static_cast<unsigned long long>(totals.packets), static_cast<unsigned long long>(totals.repairs),
         static_cast<unsigned long long>(totals.lost), static_cast<unsigned long long>(totals.repeated));
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
