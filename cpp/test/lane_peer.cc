// Lane peer: the other end of a lane, in C++, for test/transport/lane.test.ts.
//
//   actor_ipc_lane_peer MODE CAPACITY FIRST_POSITION BYTES SEED COUNT
//
// Inherits three descriptors: 3 a packet socket, 4 the segment of the one who started it (BYTES long), 5 his bell.
// Makes a segment and a bell of its own and sends both over the socket. Then, by MODE:
//   echo     sends every record back as it came, until the socket closes;
//   produce  writes COUNT random records, then waits until the socket closes;
//   consume  reads COUNT records, each of which must be the random one, and ends.
// It sleeps and is woken as a session does. Ends with 0, or with 1 and a line on stderr.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string>
#include <vector>

#include "os/event.h"
#include "os/seqpacket.h"
#include "shm/lane.h"
#include "shm/park.h"
#include "shm/segment.h"
#include "test/peer.h"

namespace actor_ipc {

namespace {

constexpr int kBell = 5;

struct Arguments {
  std::string mode;
  uint32_t capacity;
  uint32_t first_position;
  uint64_t bytes;
  uint32_t seed;
  uint32_t count;
};

class Peer {
 public:
  explicit Peer(const Arguments& arguments) : arguments_(arguments), random_(arguments.seed) {
    Check(AdoptPacket(kSocket));
    Check(CheckEvent(kBell));
    Check(CreateSegment(SegmentKind::kSession, {arguments.capacity}, arguments.first_position, &file_, &own_));
    std::vector<RingPlace> rings;
    Check(AttachSegment(kSegment, arguments.bytes, UINT32_MAX, SegmentKind::kSession, &seen_, &rings));
    Check(CreateEvent(&bell_));
    if (rings.size() != 1 || rings[0].capacity != arguments.capacity) Fail("the segment has other lanes");
    ring_ = rings[0].offset;
  }

  void Run() {
    const uint64_t bytes = own_.bytes();
    const int fds[] = {file_.get(), bell_.get()};
    Check(SendPacket(kSocket, reinterpret_cast<const uint8_t*>(&bytes), sizeof bytes, fds, 2));
    if (arguments_.mode == "echo") return Echo();
    if (arguments_.mode == "produce") return Produce();
    if (arguments_.mode == "consume") return Consume();
    Fail("no such mode");
  }

 private:
  void Echo() {
    LaneWriter writer = Writer();
    LaneReader reader = Reader();
    Record record;
    while (Read(&reader, &record)) {
      if (!Write(&writer, record.kind, record.flags, record.payload, record.bytes)) return;
      writer.Publish();
      Notify();
    }
  }

  void Produce() {
    LaneWriter writer = Writer();
    RandomRecord record;
    for (uint32_t i = 0; i < arguments_.count; i++) {
      Draw(&random_, PayloadBytesMax(arguments_.capacity) + 1, &record);
      const auto bytes = static_cast<uint32_t>(record.payload.size());
      if (!Write(&writer, record.kind, record.flags, record.payload.data(), bytes))
        Fail("nobody reads any more");
      // Batches of several records too.
      if (i % 3 != 0) continue;
      writer.Publish();
      Notify();
    }
    writer.Publish();
    Notify();
    while (Sleep([] { return false; })) {
    }
  }

  void Consume() {
    LaneReader reader = Reader();
    RandomRecord wanted;
    for (uint32_t i = 0; i < arguments_.count; i++) {
      Record record;
      if (!Read(&reader, &record)) Fail("nobody writes any more");
      Draw(&random_, PayloadBytesMax(arguments_.capacity) + 1, &wanted);
      if (record.kind != wanted.kind || record.flags != wanted.flags || record.bytes != wanted.payload.size() ||
          (record.bytes > 0 && memcmp(record.payload, wanted.payload.data(), record.bytes) != 0))
        Fail("record " + std::to_string(i) + " is another one");
    }
    Record record;
    if (reader.Read(&record).code() != Code::kAgain) Fail("a record too many");
    Release(&reader);
  }

  LaneWriter Writer() {
    return LaneWriter(TailOf(own_.base(), 0), HeadOf(seen_.base(), 0), own_.base() + TailOf(own_.base(), 0)->offset,
                      arguments_.capacity);
  }
  LaneReader Reader() {
    return LaneReader(TailOf(seen_.base(), 0), HeadOf(own_.base(), 0), seen_.base() + ring_, arguments_.capacity);
  }

  /// Waits for a record; what was read before is given back. False once the socket has closed.
  bool Read(LaneReader* reader, Record* record) {
    Release(reader);
    for (;;) {
      Status status = reader->Read(record);
      if (status.code() == Code::kAgain) {
        const bool open = Sleep([&] {
          status = reader->Read(record);
          return status.code() != Code::kAgain;
        });
        if (!open) return false;
        if (status.code() == Code::kAgain) continue;
      }
      Check(status);
      return true;
    }
  }

  void Release(LaneReader* reader) {
    reader->Release();
    if (reader->WriterWantsRoom()) Notify();
  }

  /// Waits for room. False once the socket has closed.
  bool Write(LaneWriter* writer, uint32_t kind, uint32_t flags, const uint8_t* payload, uint32_t bytes) {
    for (;;) {
      Status status = writer->Write(kind, flags, payload, bytes);
      if (status.code() == Code::kAgain) {
        writer->Publish();
        Notify();
        TailOf(own_.base(), 0)->want.store(1);
        const bool open = Sleep([&] {
          status = writer->Write(kind, flags, payload, bytes);
          return status.code() != Code::kAgain;
        });
        TailOf(own_.base(), 0)->want.store(0);
        if (!open) return false;
        if (status.code() == Code::kAgain) continue;
      }
      Check(status);
      return true;
    }
  }

  void Notify() {
    if (ShouldRing(ParkOf(seen_.base()), &rung_)) Check(RingEvent(kBell));
  }

  /// Sleeps until rung, unless `look` finds something to do after all. False once the socket has closed.
  template <typename Look>
  bool Sleep(Look look) {
    Park(ParkOf(own_.base()));
    bool open = true;
    if (!look()) {
      pollfd ready[] = {{bell_.get(), POLLIN, 0}, {kSocket, POLLIN, 0}};
      if (::poll(ready, 2, -1) < 0) Fail("poll");
      open = ready[1].revents == 0;
      ClearEvent(bell_.get());
    }
    Unpark(ParkOf(own_.base()));
    return open;
  }

  Arguments arguments_;
  Random random_;
  Fd file_;
  Fd bell_;
  Mapping own_;
  Mapping seen_;
  uint32_t ring_ = 0;
  uint32_t rung_ = 0;
};

uint32_t Number(const char* text) { return static_cast<uint32_t>(strtoul(text, nullptr, 10)); }

}  // namespace

}  // namespace actor_ipc

int main(int count, char** arguments) {
  using actor_ipc::Number;
  if (count != 7) {
    fprintf(stderr, "usage: %s MODE CAPACITY FIRST_POSITION BYTES SEED COUNT\n", arguments[0]);
    return 2;
  }
  actor_ipc::Peer({arguments[1], Number(arguments[2]), Number(arguments[3]), Number(arguments[4]),
                   Number(arguments[5]), Number(arguments[6])})
      .Run();
  return 0;
}
