// Soak victim: one side of a session, made to be killed, for test/soak/. It does what the other side of a session does, in
// C++, because a Node.js process takes so much longer to start.
//
//   actor_ipc_soak_victim ROLE SOCKET FRAMES LEDGER SEED DIE_AT
//
// ROLE     client: connects to SOCKET and logs in; server: listens there and lets one client in.
// FRAMES   a file with the frames that it sends, as it can't encode them: for each a 32-bit length and its bytes. The client
//          sends the first and, once accepted, the second; the server answers a hello with the first. In them, the numbers
//          below stand for what only this process knows of itself.
// LEDGER   a file of 4096 bytes: what it has done, in words that outlive it (see Ledger).
// DIE_AT   the crash point at which it kills itself, counted from the log-in on; 0: at none, it waits to be killed.
// A victim with an even SEED is slow.
//
// The session has two channels: `words` (lane 0, codec bytes), numbered and checksummed messages both ways; `sums` (lane 1,
// msgpack), requests both ways, each of which is answered with what was asked.
// Ends with 0 when the other side closes the session, with 1 and a line on stderr when something is wrong.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <string>
#include <vector>

#include "os/event.h"
#include "os/process.h"
#include "os/seqpacket.h"
#include "shm/crash_point.h"
#include "shm/lane.h"
#include "shm/park.h"
#include "shm/segment.h"
#include "test/random.h"

namespace actor_ipc {

namespace {

/// The channels of the session, as test/soak/universe.ts describes them.
const std::vector<uint32_t> kCapacities = {4096, 4096};
constexpr uint32_t kWords = 0;
constexpr uint32_t kSums = 1;

/// src/transport/record.ts.
constexpr uint32_t kMessage = 2;
constexpr uint32_t kRequest = 3;
constexpr uint32_t kReply = 4;
constexpr uint8_t kArrayOfTwo = 0x92;
constexpr uint8_t kArrayOfFive = 0x95;
constexpr size_t kTermsBytesMax = 11;
constexpr uint32_t kFailure = 5;
constexpr uint32_t kCancel = 6;

/// Stand in the frames for our process number and start ticks, both as msgpack's 32-bit unsigned.
constexpr uint32_t kPidMark = 0x7abcdef1;
constexpr uint32_t kTicksMark = 0x7abcdef2;

/// Requests of ours that may be unanswered.
constexpr uint32_t kAskedMax = 8;

/// test/soak/ledger.ts reads the same.
struct Ledger {
  std::atomic<uint32_t> open{0};        // 1 once the session is open for us.
  std::atomic<uint32_t> publishing{0};  // Messages that will be visible once the store that follows has happened.
  std::atomic<uint32_t> published{0};
  std::atomic<uint32_t> taken{0};  // Messages that were read and were right.
  std::atomic<uint32_t> releasing{0};
  std::atomic<uint32_t> released{0};
  std::atomic<uint32_t> asked{0};
  std::atomic<uint32_t> answered{0};
  std::atomic<uint32_t> replied{0};  // Requests of the other side that were answered.
};

[[noreturn]] void Fail(const std::string& why) {
  fprintf(stderr, "soak victim: %s\n", why.c_str());
  exit(1);
}

void Check(const Status& status) {
  if (!status.ok()) Fail(std::string(status.step()) + ": " + strerror(status.error()));
}

uint32_t points_left = 0;

void DieAt(const char*) {
  if (--points_left == 0) ::kill(::getpid(), SIGKILL);
}

uint32_t Checksum(const uint8_t* bytes, size_t count) {
  uint32_t sum = 1;
  for (size_t i = 0; i < count; i++) sum = sum * 31 + bytes[i];
  return sum;
}

/// Number, checksum of the rest, then random bytes. test/soak/message.ts makes and checks the same.
void MakeMessage(uint32_t number, Random* random, std::vector<uint8_t>* bytes) {
  random->Fill(bytes, 8 + random->Below(random->Below(16) == 0 ? 1500 : 120));
  memcpy(bytes->data(), &number, sizeof number);
  const uint32_t sum = Checksum(bytes->data() + 8, bytes->size() - 8);
  memcpy(bytes->data() + 4, &sum, sizeof sum);
}

void CheckMessage(const Record& record, uint32_t number) {
  uint32_t head[2];
  if (record.bytes < sizeof head) Fail("a message is short");
  memcpy(head, record.payload, sizeof head);
  if (head[0] != number) Fail("message " + std::to_string(head[0]) + " instead of " + std::to_string(number));
  if (head[1] != Checksum(record.payload + 8, record.bytes - 8)) Fail("a message was torn");
}

/// Puts our own facts in the place of those that stand for them.
void Patch(std::vector<uint8_t>* frame) {
  uint64_t ticks = 0;
  Check(StartTicks(::getpid(), &ticks));
  const uint32_t facts[][2] = {{kPidMark, static_cast<uint32_t>(::getpid())}, {kTicksMark, static_cast<uint32_t>(ticks)}};
  for (const auto& [mark, fact] : facts) {
    for (size_t at = 0; at + 5 <= frame->size(); at++) {
      uint8_t* bytes = frame->data() + at;
      if (bytes[0] != 0xce || (uint32_t{bytes[1]} << 24 | bytes[2] << 16 | bytes[3] << 8 | bytes[4]) != mark) continue;
      for (int i = 0; i < 4; i++) bytes[1 + i] = static_cast<uint8_t>(fact >> (24 - 8 * i));
    }
  }
}

std::vector<std::vector<uint8_t>> ReadFrames(const char* path) {
  FILE* file = fopen(path, "rb");
  if (file == nullptr) Fail("no frames");
  std::vector<std::vector<uint8_t>> frames;
  for (uint32_t length; fread(&length, sizeof length, 1, file) == 1;) {
    std::vector<uint8_t> frame(length);
    if (fread(frame.data(), 1, length, file) != length) Fail("a frame is cut off");
    Patch(&frame);
    frames.push_back(std::move(frame));
  }
  fclose(file);
  return frames;
}

Ledger* OpenLedger(const char* path) {
  const Fd file(::open(path, O_RDWR | O_CLOEXEC));
  void* base = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (base == MAP_FAILED) Fail("no ledger");
  return static_cast<Ledger*>(base);
}

class Victim {
 public:
  Victim(const char* frames, const char* ledger, uint32_t seed, uint32_t die_at)
      : frames_(ReadFrames(frames)), ledger_(OpenLedger(ledger)), random_(seed), die_at_(die_at), slow_(seed % 2 == 0) {
    Check(CreateSegment(SegmentKind::kSession, kCapacities, 0, &file_, &own_));
    Check(CreateEvent(&bell_));
  }

  void Connect(const char* path) {
    Check(ConnectPacket(path, &socket_));
    Send(0, true);
    if (!Receive()) Fail("it was not let in");
    Send(1, false);
    Run();
  }

  void Serve(const char* path) {
    Fd listener;
    Check(ListenPacket(path, 0600, 8, &listener));
    printf("serving\n");
    fflush(stdout);
    pollfd ready{listener.get(), POLLIN, 0};
    if (::poll(&ready, 1, -1) != 1) Fail("poll");
    Check(AcceptPacket(listener.get(), &socket_));
    if (!Receive()) return;
    Send(0, true);
    // The client's "ready".
    pollfd answered{socket_.get(), POLLIN, 0};
    if (::poll(&answered, 1, -1) != 1) Fail("poll");
    Packet packet;
    if (!ReceivePacket(socket_.get(), buffer_, sizeof buffer_, &packet).ok()) return;
    Run();
  }

 private:
  void Send(size_t frame, bool with_memory) {
    const int fds[] = {file_.get(), bell_.get()};
    const Status status = SendPacket(socket_.get(), frames_[frame].data(), frames_[frame].size(), fds, with_memory ? 2 : 0);
    if (status.code() != Code::kClosed && status.code() != Code::kReset) Check(status);
  }

  /// Waits for the frame that brings the peer's memory, and maps it. False if the peer has gone.
  bool Receive() {
    pollfd ready{socket_.get(), POLLIN, 0};
    if (::poll(&ready, 1, -1) != 1) Fail("poll");
    Packet packet;
    const Status status = ReceivePacket(socket_.get(), buffer_, sizeof buffer_, &packet);
    if (status.code() == Code::kClosed || status.code() == Code::kReset) return false;
    Check(status);
    if (packet.fd_count != 2) Fail("the answer came without memory: " + std::string(buffer_, buffer_ + packet.bytes));
    std::vector<RingPlace> rings;
    size_t bytes = 0;
    Check(MemoryBytes(packet.fds[0].get(), &bytes));
    Check(AttachSegment(packet.fds[0].get(), bytes, UINT32_MAX, SegmentKind::kSession, &seen_, &rings));
    Check(CheckEvent(packet.fds[1].get()));
    peer_bell_ = std::move(packet.fds[1]);
    for (uint32_t lane = 0; lane < kCapacities.size(); lane++) {
      TailLine* tail = TailOf(own_.base(), lane);
      writers_.emplace_back(tail, HeadOf(seen_.base(), lane), own_.base() + tail->offset, kCapacities[lane]);
      readers_.emplace_back(TailOf(seen_.base(), lane), HeadOf(own_.base(), lane), seen_.base() + rings[lane].offset,
                            kCapacities[lane]);
    }
    return true;
  }

  void Run() {
    ledger_->open = 1;
    points_left = die_at_;
    if (die_at_ > 0) at_crash_point = DieAt;
    for (;;) {
      // A slow one lets the other side fall asleep, so that much depends on the rings.
      if (slow_ && random_.Below(2) == 0) ::poll(nullptr, 0, 1);
      if (!Move() && !Sleep()) return;
    }
  }

  bool WriteWords() {
    uint32_t count = ledger_->publishing;
    for (uint32_t left = 1 + random_.Below(4); left > 0; left--) {
      if (pending_.empty()) MakeMessage(count, &random_, &pending_);
      if (!writers_[kWords].Write(kMessage, 0, pending_.data(), static_cast<uint32_t>(pending_.size())).ok()) break;
      pending_.clear();
      count++;
    }
    if (count == ledger_->publishing) return false;
    ledger_->publishing = count;
    writers_[kWords].Publish();
    ledger_->published = count;
    Notify();
    return true;
  }

  bool ReadWords() {
    Record record;
    bool any = false;
    for (int left = 8; left > 0 && Read(kWords, &record); left--) {
      CheckMessage(record, ledger_->taken);
      ledger_->taken++;
      any = true;
    }
    if (!any) return false;
    ledger_->releasing = ledger_->taken.load();
    readers_[kWords].Release();
    ledger_->released = ledger_->taken.load();
    if (readers_[kWords].WriterWantsRoom()) Notify();
    return true;
  }

  /// A request is its number, then msgpack of ["echo", number].
  bool Ask() {
    if (ledger_->asked - ledger_->answered >= kAskedMax) return false;
    const uint32_t number = ledger_->asked + 1;
    uint8_t body[4 + 11] = {0, 0, 0, 0, 0x92, 0xa4, 'e', 'c', 'h', 'o', 0xce};
    memcpy(body, &number, sizeof number);
    for (int i = 0; i < 4; i++) body[11 + i] = static_cast<uint8_t>(number >> (24 - 8 * i));
    if (!writers_[kSums].Write(kRequest, 0, body, sizeof body).ok()) return false;
    ledger_->asked = number;
    writers_[kSums].Publish();
    Notify();
    return true;
  }

  bool ReadSums() {
    Record record;
    bool any = false;
    for (int left = 8; left > 0; left--) {
      if (reply_.empty() && !Read(kSums, &record)) break;
      any = true;
      if (reply_.empty()) Take(record);
      // No room for the reply: nothing is read until there is.
      if (!reply_.empty() && !Reply()) {
        any = false;
        break;
      }
    }
    readers_[kSums].Release();
    if (readers_[kSums].WriterWantsRoom()) Notify();
    return any;
  }

  void Take(const Record& record) {
    uint32_t number = 0;
    if (record.bytes < sizeof number) Fail("a record without its number");
    memcpy(&number, record.payload, sizeof number);
    if (record.kind == kRequest) {
      // Answered with the value that was asked: what stands between the name and the terms, if there are any.
      const uint8_t* end = record.payload + record.bytes;
      if (record.bytes < 4 + 7 || memcmp(record.payload + 5,
                                                          "\xa4"
                                                          "echo",
                                                          5) != 0)
        Fail("a request that makes no sense");
      if (record.payload[4] == kArrayOfFive && record.bytes >= 4 + 7 + kTermsBytesMax - 4)
        // Two zeros and a deadline: an integer of 32 bits, or a double where the machine has run for long.
        end -= memcmp(end - 7, "\0\0\xce", 3) == 0 ? 7 : kTermsBytesMax;
      else if (record.payload[4] != kArrayOfTwo)
        Fail("a request that makes no sense");
      reply_.assign(record.payload, record.payload + 4);
      reply_.insert(reply_.end(), record.payload + 10, end);
    } else if (record.kind == kReply) {
      if (number != ledger_->answered + 1) Fail("a reply out of order");
      ledger_->answered = number;
    } else if (record.kind == kFailure) {
      Fail("a request failed");
    } else if (record.kind != kCancel) {
      Fail("a record of unknown kind " + std::to_string(record.kind));
    }
  }

  bool Reply() {
    if (!writers_[kSums].Write(kReply, 0, reply_.data(), static_cast<uint32_t>(reply_.size())).ok()) return false;
    reply_.clear();
    ledger_->replied++;
    writers_[kSums].Publish();
    Notify();
    return true;
  }

  bool Read(uint32_t lane, Record* record) {
    const Status status = readers_[lane].Read(record);
    if (status.code() == Code::kAgain) return false;
    Check(status);
    return true;
  }

  void Notify() {
    if (ShouldRing(ParkOf(seen_.base()), &rung_)) Check(RingEvent(peer_bell_.get()));
  }

  bool Move() {
    bool moved = WriteWords();
    moved = Ask() || moved;
    moved = ReadWords() || moved;
    return ReadSums() || moved;
  }

  /// Sleeps until rung, asking for room on both lanes. False once the session has ended.
  bool Sleep() {
    for (uint32_t lane = 0; lane < kCapacities.size(); lane++) TailOf(own_.base(), lane)->want.store(1);
    Park(ParkOf(own_.base()));
    bool open = true;
    if (!Move()) {
      pollfd ready[] = {{bell_.get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}};
      if (::poll(ready, 2, -1) < 0) Fail("poll");
      // A goodbye, or the end.
      open = ready[1].revents == 0;
      ClearEvent(bell_.get());
    }
    Unpark(ParkOf(own_.base()));
    for (uint32_t lane = 0; lane < kCapacities.size(); lane++) TailOf(own_.base(), lane)->want.store(0);
    return open;
  }

  std::vector<std::vector<uint8_t>> frames_;
  Ledger* ledger_;
  Random random_;
  uint32_t die_at_;
  bool slow_;
  Fd file_;
  Fd bell_;
  Fd socket_;
  Fd peer_bell_;
  Mapping own_;
  Mapping seen_;
  std::vector<LaneWriter> writers_;
  std::vector<LaneReader> readers_;
  std::vector<uint8_t> pending_;
  std::vector<uint8_t> reply_;
  uint32_t rung_ = 0;
  uint8_t buffer_[kPacketBytesMax];
};

uint32_t Number(const char* text) { return static_cast<uint32_t>(strtoul(text, nullptr, 10)); }

}  // namespace

}  // namespace actor_ipc

int main(int count, char** arguments) {
  using actor_ipc::Number;
  if (count != 7) {
    fprintf(stderr, "usage: %s ROLE SOCKET FRAMES LEDGER SEED DIE_AT\n", arguments[0]);
    return 2;
  }
  static actor_ipc::Victim victim(arguments[3], arguments[4], Number(arguments[5]), Number(arguments[6]));
  if (strcmp(arguments[1], "server") == 0)
    victim.Serve(arguments[2]);
  else
    victim.Connect(arguments[2]);
  return 0;
}
