// Broadcast peer: the other end of a broadcast, in C++, for test/transport/broadcast-ring.test.ts.
//
//   actor_ipc_broadcast_peer produce CAPACITY FIRST_POSITION SEED COUNT
//   actor_ipc_broadcast_peer consume BYTES POSITION TURN SEQUENCE SEED COUNT
//
// Inherits descriptor 3, a packet socket; `consume` also descriptor 4, the writer's segment (BYTES long).
//   produce  makes the broadcast and sends its segment with its length; at each packet that comes it publishes COUNT
//            random records; ends when the socket closes.
//   consume  follows the broadcast from that place on, without sleeping, until it has seen the record with sequence COUNT;
//            each must be the random one and each gap exact; then sends the number of records that it has missed.
// Ends with 0, or with 1 and a line on stderr.
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "os/seqpacket.h"
#include "shm/broadcast.h"
#include "shm/segment.h"
#include "test/peer.h"

namespace actor_ipc {

namespace {

/// So large may one record in eight be, less one.
constexpr uint32_t kLargeMax = 400;

void SendNumber(uint64_t number, const int* fds, size_t count) {
  Check(SendPacket(kSocket, reinterpret_cast<const uint8_t*>(&number), sizeof number, fds, count));
}

/// Waits for a packet. False once the socket has closed.
bool AwaitPacket() {
  pollfd ready{kSocket, POLLIN, 0};
  if (::poll(&ready, 1, -1) < 0) Fail("poll");
  char byte[16];
  return ::recv(kSocket, byte, sizeof byte, 0) > 0;
}

void Produce(uint32_t capacity, uint32_t first_position, uint32_t seed, uint32_t count) {
  Fd file;
  Mapping own;
  Check(CreateSegment(SegmentKind::kBroadcast, {capacity}, first_position, &file, &own));
  TailLine* line = TailOf(own.base(), 0);
  BroadcastWriter writer(line, own.base() + line->offset, capacity);
  const int fds[] = {file.get()};
  SendNumber(own.bytes(), fds, 1);
  Random random(seed);
  RandomRecord record;
  while (AwaitPacket()) {
    for (uint32_t i = 0; i < count; i++) {
      Draw(&random, kLargeMax, &record);
      Check(writer.Write(record.kind, record.flags, record.payload.data(), static_cast<uint32_t>(record.payload.size())));
      writer.Publish();
    }
    SendNumber(writer.End().sequence, nullptr, 0);
  }
}

void Consume(uint64_t bytes, BroadcastPlace first, uint32_t seed, uint32_t count) {
  Mapping seen;
  std::vector<RingPlace> rings;
  Check(AttachSegment(kSegment, bytes, UINT32_MAX, SegmentKind::kBroadcast, &seen, &rings));
  BroadcastReader reader(TailOf(seen.base(), 0), seen.base() + rings[0].offset, rings[0].capacity, first);
  Random random(seed);
  RandomRecord wanted;
  uint64_t sequence = first.sequence - 1;
  uint64_t missed = 0;
  SendNumber(0, nullptr, 0);
  while (sequence < count) {
    BroadcastRecord record;
    const Status status = reader.Read(&record);
    if (status.code() == Code::kAgain) {
      ::sched_yield();
      continue;
    }
    Check(status);
    for (uint64_t i = 0; i <= record.gap; i++) Draw(&random, kLargeMax, &wanted);
    sequence += record.gap + 1;
    missed += record.gap;
    if (record.sequence != sequence) Fail("the gap before record " + std::to_string(record.sequence) + " is another");
    if (record.kind != wanted.kind || record.flags != wanted.flags || record.bytes != wanted.payload.size() ||
        (record.bytes > 0 && memcmp(record.payload, wanted.payload.data(), record.bytes) != 0))
      Fail("record " + std::to_string(sequence) + " is another one");
  }
  SendNumber(missed, nullptr, 0);
}

uint32_t Number(const char* text) { return static_cast<uint32_t>(strtoul(text, nullptr, 10)); }

}  // namespace

}  // namespace actor_ipc

int main(int count, char** arguments) {
  using actor_ipc::Number;
  const std::string mode = count > 1 ? arguments[1] : "";
  if (!actor_ipc::AdoptPacket(3).ok()) return 2;
  if (mode == "produce" && count == 6) {
    actor_ipc::Produce(Number(arguments[2]), Number(arguments[3]), Number(arguments[4]), Number(arguments[5]));
  } else if (mode == "consume" && count == 8) {
    actor_ipc::Consume(Number(arguments[2]), {Number(arguments[3]), Number(arguments[4]), Number(arguments[5])},
                       Number(arguments[6]), Number(arguments[7]));
  } else {
    fprintf(stderr, "usage: see the head of broadcast_peer.cc\n");
    return 2;
  }
  return 0;
}
