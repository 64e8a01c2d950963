// A writer or a reader that dies, or stops, at every single crash point of cpp/shm/lane.h and cpp/shm/park.h, and what its
// peer finds. The victim is a process of its own; the survivor is this one and knows of it only what a peer knows: shared
// memory, a bell, and the kernel's word that it has ended. A ledger that lanes know nothing of says how far the victim was.
//
// The points are counted, not chosen: the victim dies at its first, its second, and so on until it lives to its end. So no
// point is left out, however often an operation passes it.
#include <poll.h>
#include <sys/mman.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "os/event.h"
#include "os/process.h"
#include "shm/lane.h"
#include "shm/park.h"
#include "test/child.h"
#include "test/lane_ends.h"
#include "test/random.h"

#ifdef ACTOR_IPC_CRASH_POINTS

namespace actor_ipc {

namespace {

constexpr uint32_t kCapacity = 1024;
/// Enough to go round the ring several times and to fill it.
constexpr uint32_t kRecords = 48;
/// Positions wrap in the middle of the test.
constexpr uint32_t kFirstPosition = 0u - 1536;
/// Far above what a wake-up takes: it stands for "never".
constexpr int kLostMs = 20000;

/// What the victim tells about itself. In shared memory, so that it is there after its death; each word has one writer.
struct Ledger {
  std::atomic<uint32_t> publishing{0};  // Records that will be visible once the store that follows has happened.
  std::atomic<uint32_t> published{0};
  std::atomic<uint32_t> taken{0};  // Records that were read and were right.
  std::atomic<uint32_t> releasing{0};
  std::atomic<uint32_t> released{0};
  std::atomic<uint32_t> wrong{0};
  std::atomic<bool> done{false};
  char at[64] = {};  // The point at which it died or stopped.
};

enum class Fate { kKilled, kStopped };

// Of the victim's process alone.
Ledger* ledger_at = nullptr;
Cue* cue_at = nullptr;
uint32_t points_left = 0;
Fate fate_at = Fate::kKilled;

void Meet(const char* name) {
  if (--points_left != 0) return;
  strncpy(ledger_at->at, name, sizeof ledger_at->at - 1);
  if (fate_at == Fate::kKilled) {
    ::kill(::getpid(), SIGKILL);
  } else {
    cue_at->Give();
    ::raise(SIGSTOP);
  }
}

/// Record `number`: its number, then random bytes; now and then many, so that wrap records come at all lengths.
std::vector<uint8_t> RecordOf(uint32_t number) {
  Random random(number + 1);
  std::vector<uint8_t> bytes;
  random.Fill(&bytes, 4 + random.Below(number % 8 == 0 ? 300 : 60));
  memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

bool IsRecord(const Record& record, uint32_t number) {
  const std::vector<uint8_t> wanted = RecordOf(number);
  return record.kind == 2 && record.bytes == wanted.size() && memcmp(record.payload, wanted.data(), wanted.size()) == 0;
}

/// How one side sleeps and wakes the other. A survivor also wakes when its peer ends, or tells that it stops.
struct Side {
  ParkLine* own;
  const ParkLine* peer;
  int bell;
  int peer_bell;
  int peer_process = -1;
  int peer_stops = -1;
  uint32_t rung = 0;
  bool peer_ended = false;
  bool peer_stopped = false;

  void Notify() {
    if (ShouldRing(peer, &rung) && !RingEvent(peer_bell).ok()) abort();
  }

  /// Sleeps unless `look` finds something after all. False if nothing woke it: a lost wake-up.
  template <typename Look>
  bool Sleep(Look look) {
    peer_stopped = false;  // What an earlier sleep was woken by is not news.
    Park(own);
    const bool woken = look() || Await();
    Unpark(own);
    return woken;
  }

 private:
  bool Await() {
    pollfd ready[] = {{bell, POLLIN, 0}, {peer_process, POLLIN, 0}, {peer_stops, POLLIN, 0}};
    if (::poll(ready, 3, kLostMs) <= 0) return false;
    if (ready[0].revents != 0) ClearEvent(bell);
    peer_ended = ready[1].revents != 0;
    peer_stopped = ready[2].revents != 0;
    return true;
  }
};

Fd NewEvent() {
  Fd event;
  REQUIRE(CreateEvent(&event).ok());
  return event;
}

/// Both ends of a lane, what they sleep by, and the ledger of the victim.
struct Stage {
  LaneEnds ends{kCapacity, kFirstPosition};
  Fd writer_bell = NewEvent();
  Fd reader_bell = NewEvent();
  Cue stops;
  Mapping page{::mmap(nullptr, PageBytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), PageBytes(), true};
  Ledger* ledger = new (page.base()) Ledger;

  Side WriterSide() {
    return {ParkOf(ends.writer_own.base()), ParkOf(ends.reader_seen.base()), writer_bell.get(), reader_bell.get()};
  }
  Side ReaderSide() {
    return {ParkOf(ends.reader_own.base()), ParkOf(ends.writer_seen.base()), reader_bell.get(), writer_bell.get()};
  }
};

/// Writes all records in batches of one to three. Answers whether no wake-up was lost.
class Writer {
 public:
  Writer(Stage* stage, Side side) : side(side), stage_(stage), lane_(stage->ends.Writer()), tail_(stage->ends.Tail()) {}

  Side side;
  /// The position after each record that was written.
  std::vector<uint32_t> ends;

  bool done() const { return written_ == kRecords; }
  uint32_t Unread() const { return lane_.Unread(); }

  /// A batch, if there is room. Answers whether anything was written.
  bool Step() {
    const uint32_t before = written_;
    for (uint32_t left = 1 + before % 3; left > 0 && !done(); left--) {
      const std::vector<uint8_t> bytes = RecordOf(written_);
      if (!lane_.Write(2, 0, bytes.data(), static_cast<uint32_t>(bytes.size())).ok()) break;
      written_++;
      NoteEnd(RecordBytes(static_cast<uint32_t>(bytes.size())));
    }
    if (written_ == before) return false;
    stage_->ledger->publishing = written_;
    lane_.Publish();
    stage_->ledger->published = written_;
    side.Notify();
    return true;
  }

  /// Waits for room. Answers false if nothing woke it.
  bool Wait() {
    tail_->want.store(1);
    const bool woken = side.Sleep([this] { return Step(); });
    tail_->want.store(0);
    return woken;
  }

 private:
  void NoteEnd(uint32_t total) {
    const uint32_t to_end = kCapacity - (end_ & (kCapacity - 1));
    end_ += total <= to_end ? total : to_end + total;
    ends.push_back(end_);
  }

  Stage* stage_;
  LaneWriter lane_;
  TailLine* tail_;
  uint32_t end_ = kFirstPosition;
  uint32_t written_ = 0;
};

/// Reads records and checks each.
class Reader {
 public:
  Reader(Stage* stage, Side side) : side(side), stage_(stage), lane_(stage->ends.Reader()) {}

  Side side;
  bool wrong = false;

  uint32_t taken() const { return taken_; }

  /// A batch of at most three. Answers whether anything was read.
  bool Step() {
    const uint32_t before = taken_;
    Record record;
    while (taken_ - before < 3) {
      const Status status = lane_.Read(&record);
      if (status.code() == Code::kAgain) break;
      if (!status.ok() || !IsRecord(record, taken_)) {
        wrong = true;
        break;
      }
      taken_++;
      stage_->ledger->taken = taken_;
    }
    if (taken_ == before) return wrong;
    stage_->ledger->releasing = taken_;
    lane_.Release();
    stage_->ledger->released = taken_;
    if (lane_.WriterWantsRoom()) side.Notify();
    return true;
  }

  bool Wait() {
    return side.Sleep([this] { return Step(); });
  }

 private:
  Stage* stage_;
  LaneReader lane_;
  uint32_t taken_ = 0;
};

int WriteAll(Stage* stage) {
  Writer writer(stage, stage->WriterSide());
  while (!writer.done())
    if (!writer.Step() && !writer.Wait()) return 1;
  stage->ledger->done = true;
  return 0;
}

int ReadAll(Stage* stage) {
  Reader reader(stage, stage->ReaderSide());
  while (reader.taken() < kRecords && !reader.wrong)
    if (!reader.Step() && !reader.Wait()) return 1;
  stage->ledger->wrong = reader.wrong ? 1 : 0;
  stage->ledger->done = true;
  return reader.wrong ? 2 : 0;
}

/// A victim that meets its fate at the `point`th crash point that it passes.
class Victim {
 public:
  template <typename Body>
  Victim(Stage* stage, Fate fate, uint32_t point, Body body)
      : child_([=] {
          ledger_at = stage->ledger;
          cue_at = &stage->stops;
          fate_at = fate;
          points_left = point;
          at_crash_point = Meet;
          return body(stage);
        }) {
    REQUIRE(OpenProcess(child_.pid(), 0, &process_).ok());
  }

  int process() const { return process_.get(); }
  int Reap() { return child_.Reap(); }

  /// Waits until it has stopped. It has told that it will.
  void AwaitStop(Stage* stage) {
    REQUIRE(stage->stops.Await());
    int status = 0;
    REQUIRE(::waitpid(child_.pid(), &status, WUNTRACED) == child_.pid());
    REQUIRE(WIFSTOPPED(status));
    CHECK_FALSE(ProcessEnded(process_.get()));
  }
  void Continue() { ::kill(child_.pid(), SIGCONT); }

 private:
  Child child_;
  Fd process_;
};

/// Lets the victim come to its first sleep, so that each life has one; or to its fate.
void AwaitSleep(const Side& side) {
  pollfd ready[] = {{side.peer_process, POLLIN, 0}, {side.peer_stops, POLLIN, 0}};
  while ((side.peer->park.load() & 1) == 0 && ::poll(ready, 2, 1) == 0) {
  }
}

/// The names of all points that victims came to.
std::set<std::string>& PointsMet() {
  static std::set<std::string> names;
  return names;
}

/// One life of a writer, seen by its reader. Answers whether the writer met its fate before its end.
bool ReadFrom(Fate fate, uint32_t point) {
  Stage stage;
  Reader reader(&stage, stage.ReaderSide());
  // The ledger's reading half is the survivor's own here, and of no interest.
  Victim victim(&stage, fate, point, WriteAll);
  reader.side.peer_process = victim.process();
  reader.side.peer_stops = stage.stops.reader.get();
  AwaitSleep(reader.side);
  const Ledger& ledger = *stage.ledger;
  bool met = false;
  while (!reader.side.peer_ended) {
    while (reader.Step() && !reader.wrong) {
    }
    if (reader.wrong) break;
    const bool woken = reader.Wait();
    REQUIRE_MESSAGE(woken, "no ring came, and no end, after point " << point);
    if (!reader.side.peer_stopped) continue;
    victim.AwaitStop(&stage);
    met = true;
    // Stopped is not dead: what it had published can be read, the rest comes later, and nobody waits for ever.
    while (reader.Step() && !reader.wrong) {
    }
    CHECK(reader.taken() >= ledger.published);
    CHECK(reader.taken() <= ledger.publishing);
    PointsMet().insert(ledger.at);
    victim.Continue();
  }
  // It may have died between its store and its ring: once more.
  while (!reader.wrong && reader.Step()) {
  }
  const int end = victim.Reap();
  INFO("point " << point << ", " << ledger.at);
  CHECK_FALSE(reader.wrong);
  CHECK(reader.taken() >= ledger.published);
  CHECK(reader.taken() <= ledger.publishing);
  const std::string at = ledger.at;
  if (at == "lane.publish: before the store") CHECK(reader.taken() == (met ? kRecords : ledger.published.load()));
  if (at == "lane.publish: after the store") CHECK(reader.taken() == (met ? kRecords : ledger.publishing.load()));
  if (end == 0) {
    CHECK(ledger.done);
    CHECK(reader.taken() == kRecords);
    return met;
  }
  CHECK(end == -SIGKILL);
  PointsMet().insert(at);
  return true;
}

/// One life of a reader, seen by its writer.
bool WriteTo(Fate fate, uint32_t point) {
  Stage stage;
  Writer writer(&stage, stage.WriterSide());
  Victim victim(&stage, fate, point, ReadAll);
  writer.side.peer_process = victim.process();
  writer.side.peer_stops = stage.stops.reader.get();
  AwaitSleep(writer.side);
  const Ledger& ledger = *stage.ledger;
  bool met = false;
  while (!writer.side.peer_ended) {
    while (!writer.done() && writer.Step()) {
    }
    CHECK(writer.Unread() <= kCapacity);
    // All written: it still waits, for the reader's end.
    const bool woken = writer.done() ? writer.side.Sleep([] { return false; }) : writer.Wait();
    REQUIRE_MESSAGE(woken, "no room came, and no end, after point " << point);
    if (!writer.side.peer_stopped) continue;
    victim.AwaitStop(&stage);
    met = true;
    PointsMet().insert(ledger.at);
    // It fills the ring and is told so: it neither overwrites what the stopped one has not read, nor waits for it.
    while (!writer.done() && writer.Step()) {
    }
    CHECK(writer.Unread() <= kCapacity);
    victim.Continue();
  }
  const int end = victim.Reap();
  INFO("point " << point << ", " << ledger.at);
  CHECK(ledger.wrong == 0);
  CHECK(writer.Unread() <= kCapacity);
  // How many records lie before the head that the reader has left: what it gave back, no more and no less.
  const uint32_t head = stage.ends.Head()->head.load() - kFirstPosition;
  uint32_t gone = 0;
  while (gone < writer.ends.size() && writer.ends[gone] - kFirstPosition <= head) gone++;
  CHECK(gone >= ledger.released);
  CHECK(gone <= ledger.releasing);
  CHECK(gone <= ledger.taken);
  if (end == 0) {
    CHECK(ledger.done);
    CHECK(ledger.taken == kRecords);
    return met;
  }
  CHECK(end == -SIGKILL);
  PointsMet().insert(ledger.at);
  return true;
}

using Life = bool (*)(Fate fate, uint32_t point);

void AtEveryPoint(Life life, Fate fate) {
  uint32_t point = 1;
  while (life(fate, point)) point++;
  // Every record passes several points.
  CHECK(point > 3 * kRecords);
}

size_t CountIn(const char* folder) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) count++;
  return count;
}

size_t MappingsOfMemoryFiles() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);)
    if (line.find("memfd:actor-ipc") != std::string::npos) count++;
  return count;
}

}  // namespace

TEST_SUITE("lane_crash") {
  TEST_CASE("a writer that is killed at any point has delivered exactly what it had published") {
    AtEveryPoint(ReadFrom, Fate::kKilled);
  }

  TEST_CASE("a writer that is stopped at any point is waited for without harm, and goes on") {
    AtEveryPoint(ReadFrom, Fate::kStopped);
  }

  TEST_CASE("a reader that is killed at any point leaves a head from which its writer knows what was not taken") {
    AtEveryPoint(WriteTo, Fate::kKilled);
  }

  TEST_CASE("a reader that is stopped at any point loses nothing that was written meanwhile") {
    AtEveryPoint(WriteTo, Fate::kStopped);
  }

  TEST_CASE("the tests above have met every crash point that the source has") {
    std::set<std::string> wanted;
    for (const char* file : {"/shm/lane.h", "/shm/park.h"}) {
      std::ifstream stream(std::string(ACTOR_IPC_SOURCE) + file);
      std::stringstream text;
      text << stream.rdbuf();
      const std::string source = text.str();
      const std::regex point("CRASH_POINT\\(\"([^\"]+)\"\\)");
      for (std::sregex_iterator at(source.begin(), source.end(), point), end; at != end; ++at) {
        const bool is_new = wanted.insert((*at)[1]).second;
        CHECK_MESSAGE(is_new, "the name of a point is there twice: " << (*at)[1].str());
      }
    }
    CHECK(wanted.size() > 10);
    for (const std::string& name : wanted) CHECK_MESSAGE(PointsMet().count(name) == 1, "never met: " << name);
  }

  TEST_CASE("a victim leaves neither a descriptor nor a mapping behind") {
    const size_t descriptors = CountIn("/proc/self/fd");
    const size_t mappings = MappingsOfMemoryFiles();
    for (const Life life : {ReadFrom, WriteTo})
      for (uint32_t point = 1; point < 200; point += 13) life(Fate::kKilled, point);
    CHECK(CountIn("/proc/self/fd") == descriptors);
    CHECK(MappingsOfMemoryFiles() == mappings);
  }
}

}  // namespace actor_ipc

#endif
