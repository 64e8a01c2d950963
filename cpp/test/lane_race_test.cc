// A writer and a reader that sleep and wake each other as two processes do. The scaffold runs without threads first, so
// that a failure of the second kind is one of order between threads.
//
// ThreadSanitizer knows an address, not a page: it orders accesses, and sees a race, only where both sides use the same
// mapping. So the race runs over two mappings of each segment, as processes have them, and over one.
#include <poll.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "doctest/doctest.h"
#include "os/event.h"
#include "shm/lane.h"
#include "shm/park.h"
#include "test/lane_ends.h"
#include "test/random.h"

namespace actor_ipc {

namespace {

constexpr uint32_t kCapacity = 4096;
/// Far above what a wake-up takes: it stands for "never".
constexpr int kLostMs = 20000;

uint32_t Checksum(const uint8_t* bytes, uint32_t count) {
  uint32_t sum = 1;
  for (uint32_t i = 0; i < count; i++) sum = sum * 31 + bytes[i];
  return sum;
}

/// What one side needs to sleep and to wake the other.
struct Side {
  ParkLine* own;
  const ParkLine* peer;
  int bell;
  int peer_bell;
  uint32_t rung = 0;
  uint64_t parks = 0;
  uint64_t rings = 0;

  void Notify() {
    if (!ShouldRing(peer, &rung)) return;
    rings++;
    if (!RingEvent(peer_bell).ok()) abort();
  }
  /// Sleeps unless `look` finds something to do after all. False if nobody rang.
  template <typename Look>
  bool Sleep(Look look) {
    parks++;
    Park(own);
    const bool woken = look() || AwaitRing();
    Unpark(own);
    return woken;
  }

 private:
  bool AwaitRing() const {
    pollfd ready{bell, POLLIN, 0};
    if (::poll(&ready, 1, kLostMs) != 1) return false;
    ClearEvent(bell);
    return true;
  }
};

class Producer {
 public:
  Producer(LaneWriter writer, TailLine* tail, Side side, uint32_t count, uint32_t seed)
      : writer_(writer), tail_(tail), side_(side), count_(count), random_(seed) {
    Prepare();
  }

  bool done() const { return written_ == count_; }
  const Side& side() const { return side_; }

  /// Writes a batch until the ring is full, publishes it, wakes the reader. Answers whether anything was written.
  bool Step() {
    const uint32_t before = written_;
    for (uint32_t left = 1 + random_.Below(16); left > 0 && !done(); left--) {
      if (!writer_.Write(2, 0, payload_.data(), static_cast<uint32_t>(payload_.size())).ok()) break;
      written_++;
      Prepare();
    }
    if (written_ == before) return false;
    writer_.Publish();
    side_.Notify();
    return true;
  }

  /// Runs to the end. False if a wake-up was lost.
  bool Run() {
    while (!done()) {
      if (Step()) continue;
      tail_->want.store(1);
      const bool woken = side_.Sleep([this] { return Step(); });
      tail_->want.store(0);
      if (!woken) return false;
    }
    return true;
  }

 private:
  /// Number, checksum, random bytes.
  void Prepare() {
    random_.Fill(&payload_, 8 + (random_.Below(64) == 0 ? random_.Below(2000) : random_.Below(100)));
    memcpy(payload_.data(), &written_, sizeof written_);
    const uint32_t sum = Checksum(payload_.data() + 8, static_cast<uint32_t>(payload_.size()) - 8);
    memcpy(payload_.data() + 4, &sum, sizeof sum);
  }

  LaneWriter writer_;
  TailLine* tail_;
  Side side_;
  uint32_t count_;
  uint32_t written_ = 0;
  Random random_;
  std::vector<uint8_t> payload_;
};

class Consumer {
 public:
  Consumer(LaneReader reader, Side side, uint32_t count) : reader_(reader), side_(side), count_(count) {}

  bool done() const { return read_ == count_ || !problem_.empty(); }
  const std::string& problem() const { return problem_; }
  const Side& side() const { return side_; }

  /// Reads and checks a batch, gives its room back. Answers whether anything was read.
  bool Step() {
    const uint32_t before = read_;
    while (!done() && read_ - before < 8) {
      Record record;
      const Status status = reader_.Read(&record);
      if (status.code() == Code::kAgain) break;
      Take(status, record);
    }
    if (read_ == before) return false;
    reader_.Release();
    if (reader_.WriterWantsRoom()) side_.Notify();
    return true;
  }

  bool Run() {
    while (!done()) {
      if (Step()) continue;
      if (!side_.Sleep([this] { return Step() || done(); })) return false;
    }
    return true;
  }

 private:
  void Take(const Status& status, const Record& record) {
    uint32_t number = 0;
    uint32_t sum = 0;
    if (!status.ok()) {
      problem_ = "the lane is broken";
    } else if (record.bytes < 8) {
      problem_ = "a record is short";
    } else {
      memcpy(&number, record.payload, sizeof number);
      memcpy(&sum, record.payload + 4, sizeof sum);
      if (number != read_) problem_ = "record " + std::to_string(number) + " instead of " + std::to_string(read_);
      if (sum != Checksum(record.payload + 8, record.bytes - 8)) problem_ = "a record was torn";
    }
    read_++;
  }

  LaneReader reader_;
  Side side_;
  uint32_t count_;
  uint32_t read_ = 0;
  std::string problem_;
};

/// Both ends of a lane, over one mapping of each segment or over two.
struct Scaffold {
  LaneEnds ends;
  Fd writer_bell;
  Fd reader_bell;
  Producer producer;
  Consumer consumer;

  Scaffold(bool one_mapping, uint32_t count, uint32_t seed)
      : ends(kCapacity, 0u - 512),
        writer_bell(NewEvent()),
        reader_bell(NewEvent()),
        producer(LaneWriter(ends.Tail(), HeadOf(Seen(one_mapping, ends.reader_own, ends.reader_seen), 0), ends.Ring(),
                            kCapacity),
                 ends.Tail(),
                 Side{ParkOf(ends.writer_own.base()), ParkOf(Seen(one_mapping, ends.reader_own, ends.reader_seen)),
                      writer_bell.get(), reader_bell.get()},
                 count, seed),
        consumer(LaneReader(TailOf(Seen(one_mapping, ends.writer_own, ends.writer_seen), 0), ends.Head(),
                            Seen(one_mapping, ends.writer_own, ends.writer_seen) + ends.rings[0].offset, kCapacity),
                 Side{ParkOf(ends.reader_own.base()), ParkOf(Seen(one_mapping, ends.writer_own, ends.writer_seen)),
                      reader_bell.get(), writer_bell.get()},
                 count) {}

  static uint8_t* Seen(bool one_mapping, const Mapping& own, const Mapping& seen) {
    return one_mapping ? own.base() : seen.base();
  }
  static Fd NewEvent() {
    Fd event;
    REQUIRE(CreateEvent(&event).ok());
    return event;
  }
};

void Race(bool one_mapping, uint32_t count, uint32_t seed) {
  CAPTURE(seed);
  Scaffold scaffold(one_mapping, count, seed);
  bool written = false;
  std::thread thread([&] { written = scaffold.producer.Run(); });
  const bool read = scaffold.consumer.Run();
  thread.join();
  CHECK(scaffold.consumer.problem() == "");
  CHECK(written);
  CHECK(read);
  // Nobody is rung more often than he goes to sleep.
  CHECK(scaffold.producer.side().rings <= scaffold.consumer.side().parks);
  CHECK(scaffold.consumer.side().rings <= scaffold.producer.side().parks);
}

}  // namespace

TEST_SUITE("lane_race") {
  TEST_CASE("the scaffold delivers everything without threads") {
    for (const bool one_mapping : {false, true}) {
      for (uint32_t seed = 1; seed <= 5; seed++) {
        Scaffold scaffold(one_mapping, 5000, seed);
        Random turns(seed);
        while (!scaffold.consumer.done()) {
          const bool wrote = turns.Below(2) == 0 && !scaffold.producer.done() && scaffold.producer.Step();
          const bool read = turns.Below(2) == 0 && scaffold.consumer.Step();
          // Both can be idle only because the draw was so.
          if (!wrote && !read) REQUIRE((!scaffold.producer.done() || !scaffold.consumer.done()));
        }
        CHECK(scaffold.producer.done());
        CHECK(scaffold.consumer.problem() == "");
      }
    }
  }

  TEST_CASE("two threads over two mappings lose no record and no wake-up") {
    for (uint32_t seed = 1; seed <= 4; seed++) Race(false, 80000, seed);
  }

  TEST_CASE("two threads over one mapping, where ThreadSanitizer sees each access, race nowhere") {
    for (uint32_t seed = 5; seed <= 8; seed++) Race(true, 80000, seed);
  }
}

}  // namespace actor_ipc
