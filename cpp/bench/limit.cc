// Limit: one process of a pair that shows what the machine allows, for bench/: the lanes of a session, and nothing else.
//
//   actor_ipc_limit ROLE SOCKET WAIT BYTES RING_BYTES PAUSE_US WARM_UP_MS MEASURE_MS MEASURE...
//
// ROLE is driver or responder; the responder listens at SOCKET and says "ready". WAIT is spin, or sleep: on an eventfd that
// each message rings. The driver prints its figures as one line of JSON: microseconds, messages/s and MB/s. MEASUREs, done
// one after the other by both:
//   round-trip  asks, and waits for the answer; PAUSE_US of silence before each question
//   one-way     sends as fast as the responder takes, small messages in batches
//   copy        copies what a round trip has to copy, twice in and twice out, in the driver alone
// As in the rest of bench/, a message is written anew at its sender, copied into the ring, copied out of it, and checked.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "os/event.h"
#include "os/seqpacket.h"
#include "shm/lane.h"
#include "shm/segment.h"

namespace actor_ipc {

namespace {

constexpr uint32_t kMessage = 2;
constexpr uint32_t kEnd = 3;
/// The unit in which memory moves between cores: bench/payload.ts stamps the same.
constexpr uint32_t kCacheLineBytes = 64;
/// More round trips than this tell no more about their percentiles; bench/laps.ts has the same numbers.
constexpr size_t kLapsMax = 1u << 21;
constexpr size_t kLapsMin = 9;
/// Messages are shown to the reader, room is given back, and the clock looked at, once per so many bytes.
constexpr uint32_t kBytesPerLook = 64 * 1024;
constexpr uint32_t kMessagesPerLookMax = 64;

[[noreturn]] void Fail(const std::string& why) {
  fprintf(stderr, "limit: %s\n", why.c_str());
  exit(1);
}

void Check(const Status& status) {
  if (!status.ok()) Fail(std::string(status.step()) + ": " + strerror(status.error()));
}

uint64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

struct Arguments {
  bool driver;
  const char* socket;
  bool sleeps;
  uint32_t bytes;
  uint32_t ring_bytes;
  uint64_t pause_ns;
  uint64_t warm_up_ns;
  uint64_t measure_ns;
  std::vector<std::string> measures;
};

/// One end: a segment of our own with one lane, the peer's, and a bell of each.
class End {
 public:
  End(const Arguments& arguments, int socket) : sleeps_(arguments.sleeps) {
    Check(CreateSegment(SegmentKind::kSession, {arguments.ring_bytes}, 0, &file_, &own_));
    Check(CreateEvent(&bell_));
    // Whoever sleeps does so in read.
    if (fcntl(bell_.get(), F_SETFL, 0) != 0) Fail("fcntl");
    const int fds[] = {file_.get(), bell_.get()};
    const uint8_t byte = 0;
    Check(SendPacket(socket, &byte, 1, fds, 2));
    uint8_t buffer[8];
    Packet packet;
    Status status = Status::Ok();
    while ((status = ReceivePacket(socket, buffer, sizeof buffer, &packet)).code() == Code::kAgain) usleep(100);
    Check(status);
    if (packet.fd_count != 2) Fail("the other process sent no memory");
    std::vector<RingPlace> rings;
    Check(AttachSegment(packet.fds[0].get(), own_.bytes(), own_.bytes(), SegmentKind::kSession, &seen_, &rings));
    peer_bell_ = std::move(packet.fds[1]);
    writer_.emplace_back(TailOf(own_.base(), 0), HeadOf(seen_.base(), 0), ring(), arguments.ring_bytes);
    reader_.emplace_back(TailOf(seen_.base(), 0), HeadOf(own_.base(), 0), seen_.base() + rings[0].offset,
                         arguments.ring_bytes);
  }

  uint8_t* ring() { return own_.base() + TailOf(own_.base(), 0)->offset; }

  /// Publish shows it to the peer, or a full ring does.
  void Write(uint32_t kind, const std::vector<uint8_t>& payload) {
    const auto bytes = static_cast<uint32_t>(payload.size());
    if (writer_[0].Write(kind, 0, payload.data(), bytes).ok()) return;
    Publish();
    while (writer_[0].Write(kind, 0, payload.data(), bytes).code() == Code::kAgain) {
    }
  }

  void Publish() {
    writer_[0].Publish();
    if (sleeps_) Check(RingEvent(peer_bell_.get()));
  }

  void Send(uint32_t kind, const std::vector<uint8_t>& payload) {
    Write(kind, payload);
    Publish();
  }

  /// Copies the next message into `copy`. Answers its kind.
  uint32_t Receive(std::vector<uint8_t>* copy) {
    Record record;
    for (;;) {
      const Status status = reader_[0].Read(&record);
      if (status.ok()) break;
      if (status.code() != Code::kAgain) Check(status);
      Release();
      if (sleeps_) Sleep();
    }
    copy->resize(record.bytes);
    if (record.bytes > 0) memcpy(copy->data(), record.payload, record.bytes);
    unreleased_ += RecordBytes(record.bytes);
    if (unreleased_ >= kBytesPerLook) Release();
    return record.kind;
  }

  /// Waits for the peer's end mark, after everything that it sent before.
  void AwaitEnd(std::vector<uint8_t>* copy) {
    if (Receive(copy) != kEnd) Fail("a message instead of an end mark");
  }

 private:
  void Release() {
    if (unreleased_ == 0) return;
    unreleased_ = 0;
    reader_[0].Release();
  }

  void Sleep() {
    uint64_t rings;
    if (::read(bell_.get(), &rings, sizeof rings) < 0 && errno != EINTR) Fail("read");
  }

  bool sleeps_;
  Fd file_;
  Fd bell_;
  Fd peer_bell_;
  Mapping own_;
  Mapping seen_;
  // One each, once the peer's memory is there.
  std::vector<LaneWriter> writer_;
  std::vector<LaneReader> reader_;
  uint32_t unreleased_ = 0;
};

void Stamp(std::vector<uint8_t>* bytes, uint32_t n) {
  for (size_t at = 0; at < bytes->size(); at += kCacheLineBytes) (*bytes)[at] = static_cast<uint8_t>(n);
}

void CheckStamp(const std::vector<uint8_t>& bytes, uint32_t n, uint32_t size) {
  uint64_t sum = 0;
  for (size_t at = 0; at < bytes.size(); at += kCacheLineBytes) sum += bytes[at];
  if (bytes.size() != size || sum != (n & 0xff) * ((size + uint64_t{kCacheLineBytes} - 1) / kCacheLineBytes))
    Fail("message " + std::to_string(n) + " arrived as another one");
}

/// The figures, as members of a JSON object.
class Figures {
 public:
  void Add(const char* name, double value) {
    char text[64];
    snprintf(text, sizeof text, "%s\"%s\":%.4f", text_.empty() ? "" : ",", name, value);
    text_ += text;
  }

  /// Percentiles as bench/histogram.ts tells them: those beyond which a sample lies.
  void AddLaps(std::vector<uint32_t>* samples_ns) {
    std::sort(samples_ns->begin(), samples_ns->end());
    const auto count = static_cast<double>(samples_ns->size());
    const struct {
      const char* name;
      double share;
    } percentiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}};
    for (const auto& [name, share] : percentiles)
      if (count * (1 - share) >= 1) Add(name, (*samples_ns)[static_cast<size_t>(count * share)] / 1e3);
    Add("max", samples_ns->back() / 1e3);
  }

  void Print() const { printf("{%s}\n", text_.c_str()); }

 private:
  std::string text_;
};

class Driver {
 public:
  Driver(const Arguments& arguments, End* end) : arguments_(arguments), end_(end), message_(arguments.bytes, 0x5a) {}

  void Run() {
    for (const std::string& measure : arguments_.measures) {
      if (measure == "one-way") {
        Flow(arguments_.warm_up_ns);
        const double per_second = Flow(arguments_.measure_ns);
        figures_.Add("messages", per_second);
        figures_.Add("megabytes", per_second * arguments_.bytes / 1e6);
      } else {
        const bool copies = measure == "copy";
        std::vector<uint32_t> laps_ns = Laps([&](uint32_t n) { copies ? Copy(n) : Ask(n); });
        figures_.AddLaps(&laps_ns);
        ExchangeEnds();
      }
    }
    figures_.Print();
  }

 private:
  template <typename Lap>
  std::vector<uint32_t> Laps(Lap lap) {
    // Filled, so that no page of it is touched for the first time while the clock runs.
    std::vector<uint32_t> samples_ns(kLapsMax, 1);
    size_t count = 0;
    uint64_t begun = NowNs();
    const uint64_t from = begun + arguments_.warm_up_ns;
    const uint64_t until = from + arguments_.measure_ns;
    for (uint32_t n = 0;; n++) {
      if (arguments_.pause_ns > 0) begun = Pause();
      lap(n);
      const uint64_t now = NowNs();
      if (begun >= from) samples_ns[count++] = static_cast<uint32_t>(std::min<uint64_t>(now - begun, UINT32_MAX));
      begun = now;
      if (count >= (now < until ? kLapsMax : kLapsMin)) break;
    }
    samples_ns.resize(count);
    return samples_ns;
  }

  void Ask(uint32_t n) {
    Stamp(&message_, n);
    end_->Send(kMessage, message_);
    if (end_->Receive(&copy_) != kMessage) Fail("the answer is none");
    CheckStamp(copy_, n, arguments_.bytes);
  }

  void Copy(uint32_t n) {
    const uint32_t places = arguments_.ring_bytes / arguments_.bytes;
    copy_.resize(arguments_.bytes);
    for (uint32_t i = 0; i < 2; i++) {
      uint8_t* place = end_->ring() + (n * 2 + i) % places * arguments_.bytes;
      memcpy(place, message_.data(), arguments_.bytes);
      memcpy(copy_.data(), place, arguments_.bytes);
    }
  }

  /// Messages per second until the responder has taken the last one.
  double Flow(uint64_t duration_ns) {
    const uint32_t per_look = std::min(kMessagesPerLookMax, (kBytesPerLook + arguments_.bytes - 1) / arguments_.bytes);
    const uint64_t begun = NowNs();
    uint32_t n = 0;
    do {
      for (uint32_t i = 0; i < per_look; i++) {
        Stamp(&message_, n++);
        end_->Write(kMessage, message_);
      }
      end_->Publish();
    } while (NowNs() < begun + duration_ns);
    ExchangeEnds();
    return n / (static_cast<double>(NowNs() - begun) / 1e9);
  }

  void ExchangeEnds() {
    end_->Send(kEnd, {});
    end_->AwaitEnd(&copy_);
  }

  /// Silence; answers when it is over. A timer is too coarse for less than a millisecond.
  uint64_t Pause() {
    const uint64_t until = NowNs() + arguments_.pause_ns;
    if (arguments_.pause_ns >= 1'000'000) {
      const timespec pause = {0, static_cast<long>(arguments_.pause_ns)};
      nanosleep(&pause, nullptr);
    }
    uint64_t now;
    while ((now = NowNs()) < until) {
    }
    return now;
  }

  const Arguments& arguments_;
  End* end_;
  std::vector<uint8_t> message_;
  std::vector<uint8_t> copy_;
  Figures figures_;
};

/// Answers in a round trip, takes in one way and in the warm-up before it; an end mark ends each and is answered.
void Respond(const Arguments& arguments, End* end) {
  std::vector<uint8_t> copy;
  std::vector<uint8_t> answer(arguments.bytes, 0x5a);
  for (const std::string& measure : arguments.measures) {
    const bool echoes = measure != "one-way";
    for (int left = echoes ? 1 : 2; left > 0; left--) {
      for (uint32_t n = 0; end->Receive(&copy) == kMessage; n++) {
        CheckStamp(copy, n, arguments.bytes);
        if (!echoes) continue;
        Stamp(&answer, n);
        end->Send(kMessage, answer);
      }
      end->Send(kEnd, {});
    }
  }
}

Fd Connected(const Arguments& arguments) {
  Fd socket;
  if (arguments.driver) {
    char line[16];
    if (fgets(line, sizeof line, stdin) == nullptr) Fail("nobody said that the responder is ready");
    Check(ConnectPacket(arguments.socket, &socket));
    return socket;
  }
  Fd listener;
  Check(ListenPacket(arguments.socket, 0600, 1, &listener));
  printf("ready\n");
  fflush(stdout);
  Status status = Status::Ok();
  while ((status = AcceptPacket(listener.get(), &socket)).code() == Code::kAgain) usleep(1'000);
  Check(status);
  return socket;
}

uint64_t Number(const char* text) { return strtoull(text, nullptr, 10); }

void Run(const Arguments& arguments) {
  const Fd socket = Connected(arguments);
  End end(arguments, socket.get());
  if (arguments.driver)
    Driver(arguments, &end).Run();
  else
    Respond(arguments, &end);
  // A peer that ends before the other has said all would count as crashed; whoever started us closes our input.
  while (!arguments.driver && getchar() != EOF) {
  }
}

}  // namespace

}  // namespace actor_ipc

int main(int count, char** arguments) {
  using actor_ipc::Number;
  if (count < 10) {
    fprintf(stderr, "usage: %s ROLE SOCKET WAIT BYTES RING_BYTES PAUSE_US WARM_UP_MS MEASURE_MS MEASURE...\n", arguments[0]);
    return 2;
  }
  // Whoever spins would outlive the one who started it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  actor_ipc::Run({strcmp(arguments[1], "driver") == 0, arguments[2], strcmp(arguments[3], "sleep") == 0,
                  static_cast<uint32_t>(Number(arguments[4])), static_cast<uint32_t>(Number(arguments[5])),
                  Number(arguments[6]) * 1'000, Number(arguments[7]) * 1'000'000, Number(arguments[8]) * 1'000'000,
                  {arguments + 9, arguments + count}});
  return 0;
}
