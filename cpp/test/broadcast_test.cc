#include "shm/broadcast.h"

#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "doctest/doctest.h"
#include "os/fd.h"
#include "os/memory.h"
#include "shm/segment.h"
#include "test/random.h"

namespace actor_ipc {

namespace {

constexpr uint32_t kKind = 2;
constexpr uint32_t kCapacity = 1024;
/// So that every test meets the end of the ring, of a turn and of the 32-bit positions.
constexpr uint32_t kNearEnd = 0u - 64;

/// A broadcast's segment, mapped twice as it would be in two processes.
struct Ends {
  uint32_t capacity;
  Fd file;
  Mapping own;
  Mapping seen;
  std::vector<RingPlace> rings;

  explicit Ends(uint32_t capacity, uint32_t first_position = 0) : capacity(capacity) {
    REQUIRE(CreateSegment(SegmentKind::kBroadcast, {capacity}, first_position, &file, &own).ok());
    REQUIRE(AttachSegment(file.get(), own.bytes(), UINT32_MAX, SegmentKind::kBroadcast, &seen, &rings).ok());
  }

  TailLine* Line() const { return TailOf(own.base(), 0); }
  uint8_t* Ring() const { return own.base() + rings[0].offset; }
  BroadcastWriter Writer() const { return BroadcastWriter(Line(), Ring(), capacity); }
  /// ThreadSanitizer sees a race only where both sides use the same mapping.
  BroadcastReader Reader(BroadcastPlace first, bool one_mapping = false) const {
    uint8_t* base = one_mapping ? own.base() : seen.base();
    return BroadcastReader(TailOf(base, 0), base + rings[0].offset, capacity, first);
  }
};

Status Write(BroadcastWriter* writer, const std::string& text) {
  return writer->Write(kKind, 0, reinterpret_cast<const uint8_t*>(text.data()), static_cast<uint32_t>(text.size()));
}
void Publish(BroadcastWriter* writer, const std::string& text) {
  REQUIRE(Write(writer, text).ok());
  writer->Publish();
}

/// The next record as text with the gap before it, or what the reader answered.
std::string Read(BroadcastReader* reader) {
  BroadcastRecord record;
  const Status status = reader->Read(&record);
  if (status.code() == Code::kAgain) return "(none)";
  if (status.code() == Code::kBadLayout) return "(bad layout)";
  const std::string text(reinterpret_cast<const char*>(record.payload), record.bytes);
  return record.gap == 0 ? text : "(" + std::to_string(record.gap) + " missed) " + text;
}

/// What a broadcast promises, said with a list of all records.
struct Model {
  struct Record {
    uint32_t flags;
    std::vector<uint8_t> payload;
    uint64_t begin;  // As 64-bit positions, without the wrap record before it.
    uint64_t end;
  };
  uint32_t capacity;
  uint64_t tail;
  size_t visible = 0;
  size_t oldest = 0;
  std::vector<Record> records;

  uint64_t EndOf(uint32_t bytes) const {
    const uint64_t total = (16 + bytes + 15) / 16 * 16;
    const uint64_t to_end = capacity - tail % capacity;
    return tail + (total > to_end ? to_end : 0) + total;
  }
  void Write(uint32_t flags, std::vector<uint8_t> payload) {
    const uint64_t end = EndOf(static_cast<uint32_t>(payload.size()));
    while (oldest < records.size() && end - records[oldest].begin > capacity) oldest++;
    const uint64_t total = (16 + payload.size() + 15) / 16 * 16;
    records.push_back({flags, std::move(payload), end - total, end});
    tail = end;
  }
};

void RunAgainstModel(uint32_t seed, uint32_t capacity, uint32_t first_position, int steps) {
  CAPTURE(seed);
  CAPTURE(capacity);
  const Ends ends(capacity, first_position);
  BroadcastWriter writer = ends.Writer();
  struct Follower {
    BroadcastReader reader;
    size_t next;
  };
  std::vector<Follower> followers;
  Model model{capacity, first_position, 0, 0, {}};
  Random random(seed);
  std::vector<uint8_t> payload;
  for (int step = 0; step < steps; step++) {
    switch (random.Below(8)) {
      case 0:
      case 1:
      case 2: {
        random.Fill(&payload, random.Below(4) == 0 ? random.Below(BroadcastPayloadMax(capacity) + 1) : random.Below(40));
        const uint32_t flags = random.Below(256);
        REQUIRE(writer.Write(kKind, flags, payload.data(), static_cast<uint32_t>(payload.size())).ok());
        model.Write(flags, payload);
        REQUIRE(writer.End().sequence == model.records.size() + 1);
        REQUIRE(writer.Oldest().sequence == model.oldest + 1);
        writer.Publish();
        model.visible = model.records.size();
        break;
      }
      case 3:
        if (followers.size() < 8) followers.push_back({ends.Reader(writer.End()), model.visible});
        break;
      default: {
        if (followers.empty()) break;
        Follower& follower = followers[random.Below(static_cast<uint32_t>(followers.size()))];
        BroadcastRecord record;
        const Status status = follower.reader.Read(&record);
        REQUIRE(status.code() == (follower.next == model.visible ? Code::kAgain : Code::kOk));
        if (follower.next == model.visible) break;
        const size_t wanted = std::max(follower.next, model.oldest);
        REQUIRE(record.gap == wanted - follower.next);
        REQUIRE(record.sequence == wanted + 1);
        REQUIRE(record.flags == model.records[wanted].flags);
        REQUIRE(std::vector<uint8_t>(record.payload, record.payload + record.bytes) == model.records[wanted].payload);
        follower.next = wanted + 1;
        break;
      }
    }
  }
}

/// Writes two records, lets `spoil` change the writer's memory, and checks that nothing is ever read again.
void CheckBroken(const std::function<void(const Ends&)>& spoil) {
  const Ends ends(kCapacity, 0);
  BroadcastWriter writer = ends.Writer();
  BroadcastReader reader = ends.Reader(writer.End());
  Publish(&writer, "first");
  Publish(&writer, "second");
  spoil(ends);
  CHECK(Read(&reader) == "(bad layout)");
  Publish(&writer, "third");
  CHECK(Read(&reader) == "(bad layout)");
}

/// Number, checksum, then bytes that belong to both.
void Fill(std::vector<uint8_t>* payload, Random* random, uint32_t number) {
  random->Fill(payload, 8 + (random->Below(16) == 0 ? random->Below(400) : random->Below(60)));
  uint32_t sum = number;
  for (size_t i = 8; i < payload->size(); i++) sum = sum * 31 + (*payload)[i];
  memcpy(payload->data(), &number, 4);
  memcpy(payload->data() + 4, &sum, 4);
}

/// Follows a writer in another thread to its last record. Answers what went wrong.
std::string Follow(BroadcastReader reader, uint32_t count, uint64_t* missed, std::atomic<uint32_t>* position) {
  uint64_t seen = 0;
  for (;;) {
    BroadcastRecord record;
    const Status status = reader.Read(&record);
    if (position != nullptr) position->store(reader.position());
    if (status.code() == Code::kAgain) {
      std::this_thread::yield();
      continue;
    }
    if (!status.ok()) return "the broadcast is broken";
    uint32_t number = 0;
    uint32_t sum = 0;
    memcpy(&number, record.payload, 4);
    memcpy(&sum, record.payload + 4, 4);
    uint32_t wanted = number;
    for (uint32_t i = 8; i < record.bytes; i++) wanted = wanted * 31 + record.payload[i];
    if (sum != wanted) return "record " + std::to_string(number) + " was torn";
    seen += record.gap + 1;
    *missed += record.gap;
    if (record.sequence != seen || number != seen) return "the gap before " + std::to_string(number) + " is another";
    if (number == count) return "";
  }
}

void Race(bool one_mapping, bool blocking, uint32_t count, uint32_t seed) {
  CAPTURE(seed);
  constexpr int kReaders = 2;
  const Ends ends(4096, 0u - 2048);
  BroadcastWriter writer = ends.Writer();
  std::vector<std::thread> threads;
  std::string problems[kReaders];
  uint64_t missed[kReaders] = {};
  std::atomic<uint32_t> positions[kReaders];
  for (int i = 0; i < kReaders; i++) {
    positions[i] = writer.End().position;
    threads.emplace_back([&, i, reader = ends.Reader(writer.End(), one_mapping)] {
      problems[i] = Follow(reader, count, &missed[i], blocking ? &positions[i] : nullptr);
    });
  }
  Random random(seed);
  std::vector<uint8_t> payload;
  for (uint32_t number = 1; number <= count; number++) {
    Fill(&payload, &random, number);
    for (;;) {
      if (blocking) {
        uint32_t behind = 0;
        for (const auto& position : positions) behind = std::max(behind, writer.End().position - position.load());
        writer.HoldFrom(writer.End().position - behind);
      }
      const Status status = writer.Write(kKind, 0, payload.data(), static_cast<uint32_t>(payload.size()));
      if (status.ok()) break;
      REQUIRE(status.code() == Code::kAgain);
      std::this_thread::yield();
    }
    writer.Publish();
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& problem : problems) CHECK(problem == "");
  if (blocking)
    for (const uint64_t gap : missed) CHECK(gap == 0);
}

}  // namespace

TEST_SUITE("broadcast") {
  TEST_CASE("readers answer what a list would, with sizes and pauses of all kinds, from any place on") {
    for (uint32_t seed = 1; seed <= 60; seed++)
      for (const uint32_t first : {0u - 1024, 0u - 64, (1u << kTurnBits) - 128, 1u << 31, 0u})
        RunAgainstModel(seed, 1024u << (seed % 3), first, 400);
  }

  TEST_CASE("nothing is seen before Publish") {
    const Ends ends(kCapacity, kNearEnd);
    BroadcastWriter writer = ends.Writer();
    BroadcastReader reader = ends.Reader(writer.End());
    REQUIRE(Write(&writer, "a").ok());
    CHECK(Read(&reader) == "(none)");
    writer.Publish();
    CHECK(Read(&reader) == "a");
    CHECK(Read(&reader) == "(none)");
  }

  TEST_CASE("a reader that was lapped is told exactly what it missed, and goes on with the oldest record") {
    const Ends ends(kCapacity, kNearEnd);
    BroadcastWriter writer = ends.Writer();
    BroadcastReader reader = ends.Reader(writer.End());
    Publish(&writer, "0");
    CHECK(Read(&reader) == "0");
    // 32 bytes each, so 32 of them fill the ring.
    for (int i = 1; i <= 100; i++) Publish(&writer, std::to_string(i));
    CHECK(Read(&reader) == "(68 missed) 69");
    for (int i = 70; i <= 100; i++) CHECK(Read(&reader) == std::to_string(i));
    CHECK(Read(&reader) == "(none)");
  }

  TEST_CASE("a reader that slept through 2^32 bytes is not fooled by positions that look the same") {
    const Ends ends(kCapacity, kNearEnd);
    BroadcastWriter writer = ends.Writer();
    for (int i = 1; i <= 100; i++) Publish(&writer, std::to_string(i));
    for (const BroadcastPlace& now : {writer.End(), writer.Oldest()}) {
      for (const uint32_t slept : {4u, 8u, 1u << 31}) {
        // Where a reader would stand that has seen four records, and then nothing for so many turns.
        BroadcastReader reader = ends.Reader({now.position, now.turn - slept, 5});
        CHECK(Read(&reader) == "(64 missed) 69");
        CHECK(Read(&reader) == "70");
      }
    }
  }

  TEST_CASE("what is held is not overwritten, and what was released is") {
    const Ends ends(kCapacity, kNearEnd);
    BroadcastWriter writer = ends.Writer();
    BroadcastReader reader = ends.Reader(writer.End());
    writer.HoldFrom(reader.position());
    int written = 0;
    while (Write(&writer, std::string(48, 'x')).ok()) written++;
    CHECK(written == 16);
    writer.Publish();
    CHECK(Read(&reader) == std::string(48, 'x'));
    CHECK(Write(&writer, std::string(48, 'y')).code() == Code::kAgain);
    writer.HoldFrom(reader.position());
    CHECK(Write(&writer, std::string(48, 'y')).ok());
    CHECK(Write(&writer, std::string(48, 'y')).code() == Code::kAgain);
    writer.HoldNothing();
    CHECK(Write(&writer, std::string(48, 'y')).ok());
  }

  TEST_CASE("a record above half of the ring is refused, and the ring unharmed") {
    const Ends ends(kCapacity, kNearEnd);
    BroadcastWriter writer = ends.Writer();
    BroadcastReader reader = ends.Reader(writer.End());
    CHECK(Write(&writer, std::string(BroadcastPayloadMax(kCapacity) + 1, 'x')).code() == Code::kTooLarge);
    for (int i = 0; i < 5; i++) {
      const std::string largest(BroadcastPayloadMax(kCapacity), static_cast<char>('a' + i));
      Publish(&writer, largest);
      CHECK(Read(&reader) == largest);
    }
  }

  TEST_CASE("a writer's memory that makes no sense is refused for good") {
    CheckBroken([](const Ends& ends) { ends.Line()->tail.store(8); });
    CheckBroken([](const Ends& ends) { ends.Line()->tail.store(kCapacity + 16); });
    CheckBroken([](const Ends& ends) { ends.Line()->tail.store(0u - 16); });
    CheckBroken([](const Ends& ends) { ends.Line()->oldest.store(24); });
    CheckBroken([](const Ends& ends) { ends.Line()->oldest.store(kCapacity); });
    const auto header = [](const Ends& ends) { return reinterpret_cast<BroadcastHeader*>(ends.Ring()); };
    for (const uint32_t bytes : {200u, 1024u, UINT32_MAX, UINT32_MAX - 15, 1u << 31})
      CheckBroken([&](const Ends& ends) { header(ends)->bytes = bytes; });
    CheckBroken([&](const Ends& ends) { header(ends)->mark = kWrapKind; });
    CheckBroken([&](const Ends& ends) { header(ends)->sequence[0] = 2; });
    CheckBroken([&](const Ends& ends) { header(ends)->sequence[1] = 1; });
  }

  TEST_CASE("a writer whose words make no sense at all is survived") {
    for (uint32_t seed = 1; seed <= 2000; seed++) {
      const Ends ends(kCapacity, kNearEnd);
      BroadcastWriter writer = ends.Writer();
      BroadcastReader reader = ends.Reader(writer.End());
      for (int i = 0; i < 10; i++) Publish(&writer, std::to_string(i));
      Random random(seed);
      for (int i = 0; i < 4; i++) {
        const auto at = random.Below(kCapacity / 4) * 4;
        reinterpret_cast<Word*>(ends.Ring() + at)->store(random.Next());
        Word* words[] = {&ends.Line()->tail, &ends.Line()->oldest, &ends.Line()->turn};
        if (random.Below(2) == 0) words[random.Below(3)]->store(random.Next());
        for (int reads = 0; reads < 20; reads++) Read(&reader);
      }
    }
  }

  TEST_CASE("two readers over two mappings get no torn record and exact gaps") {
    for (uint32_t seed = 1; seed <= 3; seed++) Race(false, false, 60000, seed);
  }

  TEST_CASE("two readers over one mapping, where ThreadSanitizer sees each access, race nowhere") {
    for (uint32_t seed = 4; seed <= 6; seed++) Race(true, false, 60000, seed);
  }

  TEST_CASE("two readers that hold the writer miss nothing") {
    Race(false, true, 30000, 7);
    Race(true, true, 30000, 8);
  }
}

}  // namespace actor_ipc
