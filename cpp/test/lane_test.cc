#include "shm/lane.h"

#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "test/lane_ends.h"
#include "test/random.h"

namespace actor_ipc {

namespace {

constexpr uint32_t kKind = 2;
constexpr uint32_t kCapacity = 1024;
/// So that every test meets the end of the ring and of the 32-bit positions.
constexpr uint32_t kNearEnd = 0u - 64;
/// The same for a test that wants the first ring whole.
constexpr uint32_t kRingBeforeEnd = 0u - kCapacity;

Status Write(LaneWriter* writer, const std::string& text, uint32_t flags = 0) {
  return writer->Write(kKind, flags, reinterpret_cast<const uint8_t*>(text.data()),
                       static_cast<uint32_t>(text.size()));
}

/// The next record as text, or the name of what the lane answered.
std::string Read(LaneReader* reader) {
  Record record;
  const Status status = reader->Read(&record);
  if (status.code() == Code::kAgain) return "(none)";
  if (status.code() == Code::kBadLayout) return "(bad layout)";
  if (!status.ok()) return "(another error)";
  return std::string(reinterpret_cast<const char*>(record.payload), record.bytes);
}

struct ModelRecord {
  uint32_t kind;
  uint32_t flags;
  std::vector<uint8_t> payload;
  bool operator==(const ModelRecord&) const = default;
};

/// What a lane promises, said with a queue: `written` becomes visible at Publish; `used` counts bytes of the ring.
struct Model {
  uint32_t capacity;
  uint32_t tail;
  uint32_t head;  // As far as read.
  uint32_t released;
  std::deque<std::pair<ModelRecord, uint32_t>> unpublished;  // With the position behind each.
  std::deque<std::pair<ModelRecord, uint32_t>> visible;

  bool HasRoom(uint32_t bytes, uint32_t* end) const {
    const uint32_t total = (8 + bytes + 7) / 8 * 8;
    const uint32_t to_end = capacity - tail % capacity;
    *end = tail + (total > to_end ? to_end : 0) + total;
    return *end - released <= capacity;
  }
  void Publish() {
    for (auto& record : unpublished) visible.push_back(std::move(record));
    unpublished.clear();
  }
};

void RunAgainstModel(uint32_t seed, uint32_t capacity, uint32_t first_position, int steps) {
  CAPTURE(seed);
  CAPTURE(capacity);
  const LaneEnds ends(capacity, first_position);
  LaneWriter writer = ends.Writer();
  LaneReader reader = ends.Reader();
  Model model{capacity, first_position, first_position, first_position, {}, {}};
  Random random(seed);
  std::vector<uint8_t> payload;
  for (int step = 0; step < steps; step++) {
    switch (random.Below(8)) {
      case 0:
      case 1:
      case 2: {
        // Small ones mostly; now and then any size that fits.
        random.Fill(&payload, random.Below(4) == 0 ? random.Below(PayloadBytesMax(capacity) + 1) : random.Below(40));
        const ModelRecord record{2 + random.Below(254), random.Below(256), payload};
        uint32_t end = 0;
        const auto bytes = static_cast<uint32_t>(payload.size());
        const bool fits = model.HasRoom(bytes, &end);
        const Status status = writer.Write(record.kind, record.flags, payload.data(), bytes);
        REQUIRE(status.code() == (fits ? Code::kOk : Code::kAgain));
        if (!fits) break;
        model.unpublished.emplace_back(record, end);
        model.tail = end;
        break;
      }
      case 3:
        writer.Publish();
        model.Publish();
        break;
      case 4:
        reader.Release();
        model.released = model.head;
        break;
      default: {
        Record record;
        const Status status = reader.Read(&record);
        REQUIRE(status.code() == (model.visible.empty() ? Code::kAgain : Code::kOk));
        if (model.visible.empty()) break;
        const auto [wanted, end] = model.visible.front();
        model.visible.pop_front();
        REQUIRE(ModelRecord{record.kind, record.flags, {record.payload, record.payload + record.bytes}} == wanted);
        model.head = end;
        break;
      }
    }
    REQUIRE(writer.Unread() == model.tail - model.released);
  }
}

/// Writes two records, lets `spoil` change the writer's memory, and checks that nothing is ever read again.
void CheckBroken(const std::function<void(const LaneEnds&, uint32_t first)>& spoil, int readable_before = 0) {
  const uint32_t first = kNearEnd;
  const LaneEnds ends(kCapacity, first);
  LaneWriter writer = ends.Writer();
  LaneReader reader = ends.Reader();
  REQUIRE(Write(&writer, "first").ok());
  REQUIRE(Write(&writer, "second").ok());
  writer.Publish();
  std::vector<uint8_t> sane(ends.Ring(), ends.Ring() + kCapacity);
  const uint32_t tail = ends.Tail()->tail.load();
  spoil(ends, first);
  for (int i = 0; i < readable_before; i++) REQUIRE(Read(&reader) != "(bad layout)");
  CHECK(Read(&reader) == "(bad layout)");
  CHECK(Read(&reader) == "(bad layout)");
  // A writer that repairs its memory is not trusted any more either.
  memcpy(ends.Ring(), sane.data(), sane.size());
  ends.Tail()->tail.store(tail);
  CHECK(Read(&reader) == "(bad layout)");
  REQUIRE(Write(&writer, "third").ok());
  writer.Publish();
  for (int i = 0; i < 4; i++) CHECK(Read(&reader) == "(bad layout)");
}

/// Bytes of the records of CheckBroken.
constexpr uint32_t kRecord = 16;

}  // namespace

TEST_SUITE("lane") {
  TEST_CASE("answers what a queue would, with sizes, batches and pauses of all kinds") {
    for (uint32_t seed = 1; seed <= 24; seed++)
      RunAgainstModel(seed, 1024u << seed % 4, 0u - seed * 8 % 1000 / 8 * 8, 3000);
  }

  TEST_CASE("answers what a queue would when positions start at 0, and where they wrap") {
    for (const uint32_t first : {0u, 8u, 1024u, 1u << 31, (1u << 31) - 8, 0u - 8, 0u - 1024})
      RunAgainstModel(99, 1024, first, 3000);
  }

  TEST_CASE("nothing is visible before Publish, and everything after it") {
    const LaneEnds ends(kCapacity, kNearEnd);
    LaneWriter writer = ends.Writer();
    LaneReader reader = ends.Reader();
    for (const char* text : {"a", "b", "c"}) {
      REQUIRE(Write(&writer, text).ok());
      CHECK(Read(&reader) == "(none)");
    }
    writer.Publish();
    for (const char* text : {"a", "b", "c", "(none)", "(none)"}) CHECK(Read(&reader) == text);
  }

  TEST_CASE("kind, flags and an empty payload arrive as they were sent") {
    const LaneEnds ends(kCapacity, kNearEnd);
    LaneWriter writer = ends.Writer();
    LaneReader reader = ends.Reader();
    REQUIRE(writer.Write(255, 255, nullptr, 0).ok());
    REQUIRE(writer.Write(0, 0, nullptr, 0).ok());
    writer.Publish();
    Record record;
    REQUIRE(reader.Read(&record).ok());
    CHECK(record.kind == 255);
    CHECK(record.flags == 255);
    CHECK(record.bytes == 0);
    REQUIRE(reader.Read(&record).ok());
    CHECK(record.kind == 0);
    CHECK(record.flags == 0);
  }

  TEST_CASE("sequence numbers go round after 65,536 records without a gap") {
    const LaneEnds ends(kCapacity, kNearEnd);
    LaneWriter writer = ends.Writer();
    LaneReader reader = ends.Reader();
    for (int i = 0; i < 70000; i++) {
      REQUIRE(writer.Write(kKind, 0, nullptr, 0).ok());
      writer.Publish();
      Record record;
      REQUIRE(reader.Read(&record).ok());
      reader.Release();
    }
  }

  TEST_CASE("answers kAgain while the ring is full, and writes again once the reader has released") {
    const LaneEnds ends(kCapacity, kNearEnd);
    LaneWriter writer = ends.Writer();
    LaneReader reader = ends.Reader();
    const std::string text(56, 'x');
    for (int i = 0; i < 16; i++) REQUIRE(Write(&writer, text).ok());
    writer.Publish();
    CHECK(Write(&writer, "").code() == Code::kAgain);
    CHECK(writer.Unread() == kCapacity);
    CHECK(Read(&reader) == text);
    CHECK(Write(&writer, "").code() == Code::kAgain);  // Read, but not released.
    reader.Release();
    CHECK(Write(&writer, text).ok());
    CHECK(Write(&writer, "").code() == Code::kAgain);
  }

  TEST_CASE("a refused write leaves nothing behind") {
    const LaneEnds ends(kCapacity, kNearEnd);
    LaneWriter writer = ends.Writer();
    LaneReader reader = ends.Reader();
    REQUIRE(Write(&writer, std::string(400, 'a')).ok());
    REQUIRE(Write(&writer, std::string(400, 'b')).ok());
    for (int i = 0; i < 3; i++) CHECK(Write(&writer, std::string(300, 'c')).code() == Code::kAgain);
    REQUIRE(Write(&writer, "d").ok());
    writer.Publish();
    CHECK(Read(&reader) == std::string(400, 'a'));
    CHECK(Read(&reader) == std::string(400, 'b'));
    CHECK(Read(&reader) == "d");
    CHECK(Read(&reader) == "(none)");
  }

  TEST_CASE("the largest record fits an empty ring wherever the positions stand") {
    const std::string largest(PayloadBytesMax(kCapacity), 'x');
    for (uint32_t start = 0; start < kCapacity; start += kRecordAlign) {
      const LaneEnds ends(kCapacity, start);
      LaneWriter writer = ends.Writer();
      LaneReader reader = ends.Reader();
      REQUIRE(Write(&writer, largest).ok());
      writer.Publish();
      REQUIRE(Read(&reader) == largest);
      reader.Release();
      REQUIRE(Write(&writer, "next").ok());
      writer.Publish();
      REQUIRE(Read(&reader) == "next");
    }
  }

  TEST_CASE("a record larger than that is refused for good, and does no harm") {
    const LaneEnds ends(kCapacity, kNearEnd);
    LaneWriter writer = ends.Writer();
    LaneReader reader = ends.Reader();
    const std::string bytes(1 << 20, 'x');
    for (const uint32_t length : {PayloadBytesMax(kCapacity) + 1, kCapacity, 1u << 20})
      CHECK(writer.Write(kKind, 0, reinterpret_cast<const uint8_t*>(bytes.data()), length).code() == Code::kTooLarge);
    REQUIRE(Write(&writer, "fits").ok());
    writer.Publish();
    CHECK(Read(&reader) == "fits");
  }

  TEST_CASE("the record that fills the end of the ring is never delivered") {
    // Every distance from the end, the smallest of which has room for a header only.
    for (uint32_t left = kRecordAlign; left < 128; left += kRecordAlign) {
      const LaneEnds ends(kCapacity, kCapacity - left);
      LaneWriter writer = ends.Writer();
      LaneReader reader = ends.Reader();
      const std::string text(200, 'x');
      REQUIRE(Write(&writer, text).ok());
      writer.Publish();
      CHECK((ends.Header(kCapacity - left)->mark & 0xff) == kWrapKind);
      Record record;
      REQUIRE(reader.Read(&record).ok());
      CHECK(record.kind == kKind);
      CHECK(record.bytes == text.size());
      CHECK(Read(&reader) == "(none)");
      CHECK(ends.Tail()->tail.load() == kCapacity - left + left + 208);
    }
  }

  TEST_CASE("a reader that is told of a wrap record alone has nothing to read yet") {
    const LaneEnds ends(kCapacity, kCapacity - 64);
    LaneReader reader = ends.Reader();
    *ends.Header(kCapacity - 64) = RecordHeader{56, RecordMark(kWrapKind, 0, 0)};
    ends.Tail()->tail.store(kCapacity);
    CHECK(Read(&reader) == "(none)");
    *ends.Header(0) = RecordHeader{0, RecordMark(kKind, 0, 1)};
    ends.Tail()->tail.store(kCapacity + 8);
    CHECK(Read(&reader) == "");
  }

  TEST_CASE("a tail outside the ring, or off its alignment, breaks the lane for good") {
    for (const uint32_t ahead : {0u - 8, 0u - 1, 1u, 4u, 7u, 36u, kCapacity + 8, 1u << 31, kCapacity * 2})
      CheckBroken([=](const LaneEnds& ends, uint32_t first) { ends.Tail()->tail.store(first + ahead); });
  }

  TEST_CASE("a tail between two records breaks the lane for good") {
    CheckBroken([](const LaneEnds& ends, uint32_t first) { ends.Tail()->tail.store(first + 8); });
    CheckBroken([](const LaneEnds& ends, uint32_t first) { ends.Tail()->tail.store(first + kRecord + 8); }, 1);
  }

  TEST_CASE("a length that reaches beyond the tail or the ring breaks the lane for good") {
    for (const uint32_t bytes : {2 * kRecord - 7, kCapacity, 0x7fffffffu, 0x80000000u, UINT32_MAX - 16, UINT32_MAX - 15,
                                 UINT32_MAX - 7, UINT32_MAX}) {
      CheckBroken([=](const LaneEnds& ends, uint32_t first) { ends.Header(first)->bytes = bytes; });
      CheckBroken([=](const LaneEnds& ends, uint32_t first) { ends.Header(first + kRecord)->bytes = bytes; }, 1);
    }
    // Within the tail, but over the end of the ring, which is 64 bytes away.
    CheckBroken([](const LaneEnds& ends, uint32_t first) {
      ends.Header(first)->bytes = 64;
      ends.Tail()->tail.store(first + 128);
    });
  }

  TEST_CASE("a wrap mark that does not end the ring breaks the lane for good") {
    CheckBroken([](const LaneEnds& ends, uint32_t first) { ends.Header(first)->mark = RecordMark(kWrapKind, 0, 0); });
    CheckBroken([](const LaneEnds& ends, uint32_t first) { ends.Header(first)->mark = RecordMark(kWrapKind, 0, 1); });
    CheckBroken(
        [](const LaneEnds& ends, uint32_t first) { ends.Header(first + kRecord)->mark = RecordMark(kWrapKind, 0, 0); },
        1);
  }

  TEST_CASE("a record that is missing, comes twice or has no number breaks the lane for good") {
    for (const uint32_t sequence : {0u, 2u, 3u, 0xffffu})
      CheckBroken([=](const LaneEnds& ends, uint32_t first) {
        ends.Header(first)->mark = RecordMark(kKind, 0, sequence);
      });
    for (const uint32_t sequence : {0u, 1u, 3u})
      CheckBroken(
          [=](const LaneEnds& ends, uint32_t first) {
            ends.Header(first + kRecord)->mark = RecordMark(kKind, 0, sequence);
          },
          1);
  }

  TEST_CASE("random memory of a writer never leads a reader outside the ring") {
    Random random(77);
    for (int round = 0; round < 3000; round++) {
      const uint32_t first = random.Next() & ~7u;
      const LaneEnds ends(kCapacity, first);
      LaneReader reader = ends.Reader();
      auto* words = reinterpret_cast<uint32_t*>(ends.Ring());
      // Mostly plausible headers, so that more than the first check is met.
      for (uint32_t i = 0; i < kCapacity / 4; i += 2) {
        words[i] = random.Below(8) == 0 ? random.Next() : random.Below(64);
        words[i + 1] = RecordMark(random.Below(4), 0, random.Below(4));
      }
      for (int publish = 0; publish < 8; publish++) {
        ends.Tail()->tail.store(first + random.Below(kCapacity / 8 + 2) * 8);
        for (int i = 0; i < 200; i++) {
          Record record;
          if (!reader.Read(&record).ok()) break;
          const uint8_t* ring = ends.writer_seen.base() + ends.rings[0].offset;
          REQUIRE(record.payload >= ring + sizeof(RecordHeader));
          REQUIRE(record.payload + record.bytes <= ring + kCapacity);
        }
      }
    }
  }

  TEST_CASE("a head that lies never lets the writer overwrite what was not read") {
    for (const uint32_t lie : {8u, 16u, kCapacity, 1u << 31, 0u - kCapacity - 8, 0u - 2 * kCapacity}) {
      const LaneEnds ends(kCapacity, kRingBeforeEnd);
      LaneWriter writer = ends.Writer();
      LaneReader reader = ends.Reader();
      const std::string text(120, 'x');
      for (int i = 0; i < 8; i++) REQUIRE(Write(&writer, std::to_string(i) + text.substr(1)).ok());
      writer.Publish();
      // Beyond the tail, or further behind it than the ring is long: impossible for an honest reader.
      ends.Head()->head.store(ends.Tail()->tail.load() + lie);
      for (int i = 0; i < 20; i++) CHECK(Write(&writer, "over").code() == Code::kAgain);
      ends.Head()->head.store(kRingBeforeEnd);
      for (int i = 0; i < 8; i++) CHECK(Read(&reader) == std::to_string(i) + text.substr(1));
      reader.Release();
      CHECK(Write(&writer, "room").ok());
    }
  }

  TEST_CASE("a head that goes back only takes room away, until it tells the truth again") {
    const LaneEnds ends(kCapacity, kRingBeforeEnd);
    LaneWriter writer = ends.Writer();
    LaneReader reader = ends.Reader();
    const std::string text(248, 'x');
    for (int i = 0; i < 4; i++) REQUIRE(Write(&writer, text).ok());
    writer.Publish();
    for (int i = 0; i < 4; i++) REQUIRE(Read(&reader) == text);
    ends.Head()->head.store(kRingBeforeEnd);
    CHECK(Write(&writer, "").code() == Code::kAgain);
    reader.Release();
    for (int i = 0; i < 4; i++) REQUIRE(Write(&writer, text).ok());
  }

  TEST_CASE("a reader sees whether the writer waits for room") {
    const LaneEnds ends(kCapacity);
    const LaneReader reader = ends.Reader();
    CHECK_FALSE(reader.WriterWantsRoom());
    ends.Tail()->want.store(1);
    CHECK(reader.WriterWantsRoom());
    ends.Tail()->want.store(0);
    CHECK_FALSE(reader.WriterWantsRoom());
  }
}

}  // namespace actor_ipc
