#include "shm/pulse.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "doctest/doctest.h"
#include "os/event.h"
#include "shm/segment.h"

namespace actor_ipc {

namespace {

constexpr uint32_t kBeatMs = 20;
/// Far above what anything here takes: it stands for "never".
constexpr int kLostMs = 20'000;

void WaitUntil(const char* what, const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kLostMs);
  while (!condition()) {
    INFO(what);
    REQUIRE(std::chrono::steady_clock::now() < until);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// Our segment and the peer's, whose words the test writes.
struct Ends {
  Fd own_file;
  Fd peer_file;
  std::shared_ptr<Mapping> own = std::make_shared<Mapping>();
  std::shared_ptr<Mapping> peer = std::make_shared<Mapping>();

  Ends() {
    REQUIRE(CreateSegment(SegmentKind::kSession, {}, 0, &own_file, own.get()).ok());
    REQUIRE(CreateSegment(SegmentKind::kSession, {}, 0, &peer_file, peer.get()).ok());
  }
  PulseLine& ours() const { return *PulseOf(own->base()); }
  PulseLine& theirs() const { return *PulseOf(peer->base()); }
};

/// A loop whose waiting is the test's to decide.
struct FakeLoop {
  Fd bell;
  std::atomic<bool> waits = true;
  std::atomic<uint64_t> idle_ns = 0;
  PulseLoop loop{NewBell(&bell), &IdleNs, this};

  static int NewBell(Fd* bell) {
    REQUIRE(CreateEvent(bell).ok());
    return bell->get();
  }
  static uint64_t IdleNs(void* self) {
    auto* loop = static_cast<FakeLoop*>(self);
    return loop->waits ? ++loop->idle_ns : loop->idle_ns.load();
  }
  bool Rung() const {
    pollfd ready{bell.get(), POLLIN, 0};
    return ::poll(&ready, 1, 0) == 1;
  }
};

/// A session that is in the pulse for as long as this lives.
struct Member {
  Ends ends;
  std::shared_ptr<PulseSession> session;

  explicit Member(FakeLoop* loop, PulseLimits limits = {kBeatMs, kNeverMs, kNeverMs})
      : session(std::make_shared<PulseSession>(&loop->loop, ends.own, ends.peer, limits)) {
    REQUIRE(Pulse::OfProcess().Add(session).ok());
  }
  ~Member() { Pulse::OfProcess().Remove(session); }
};

uint32_t NowMs() {
  return static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

/// Threads of this process with the name of the pulse's.
int Threads() {
  int found = 0;
  DIR* folder = ::opendir("/proc/self/task");
  while (const dirent* entry = ::readdir(folder)) {
    const std::string path = std::string("/proc/self/task/") + entry->d_name + "/comm";
    FILE* file = ::fopen(path.c_str(), "r");
    if (file == nullptr) continue;
    char name[32] = "";
    if (::fgets(name, sizeof name, file) != nullptr && strcmp(name, "actor-ipc pulse\n") == 0) found++;
    ::fclose(file);
  }
  ::closedir(folder);
  return found;
}

}  // namespace

TEST_SUITE("pulse") {
  TEST_CASE("one thread serves all sessions, from the first to the last, and then another one") {
    FakeLoop loop;
    for (int round = 0; round < 3; round++) {
      {
        const Member one(&loop);
        const Member other(&loop);
        WaitUntil("the thread", [] { return Threads() == 1; });
        WaitUntil("beats of both", [&] { return one.ends.ours().beat > 3 && other.ends.ours().beat > 3; });
        CHECK(Threads() == 1);
      }
      WaitUntil("its end", [] { return Threads() == 0; });
      CHECK_FALSE(Pulse::OfProcess().running());
    }
  }

  TEST_CASE("a session that is gone makes no promise any more and is not written to") {
    FakeLoop loop;
    const Member stays(&loop);
    Ends kept;
    {
      const Member goes(&loop);
      kept.own = goes.ends.own;
      CHECK(kept.ours().interval_ms == kBeatMs);
    }
    CHECK(kept.ours().interval_ms == 0);
    const uint32_t beat = kept.ours().beat;
    const uint32_t now = stays.ends.ours().beat;
    WaitUntil("three beats of the other", [&] { return stays.ends.ours().beat - now > 3; });
    CHECK(kept.ours().beat == beat);
  }

  TEST_CASE("the number of sessions does not change how often the thread wakes") {
    FakeLoop loop;
    std::vector<std::unique_ptr<Member>> members;
    for (int i = 0; i < 50; i++) members.push_back(std::make_unique<Member>(&loop));
    const uint64_t wakes = Pulse::OfProcess().wakes();
    const uint32_t beat = members[0]->ends.ours().beat;
    WaitUntil("ten beats", [&] { return members[0]->ends.ours().beat - beat >= 10; });
    // One beat may be under way at either end.
    CHECK(Pulse::OfProcess().wakes() - wakes <= 12);
  }

  TEST_CASE("a loop that waits is never rung") {
    FakeLoop loop;
    const Member member(&loop);
    WaitUntil("ten beats", [&] { return member.ends.ours().beat > 10; });
    CHECK_FALSE(loop.Rung());
    CHECK(member.ends.ours().stalled_since == 0);
  }

  TEST_CASE("a loop that does not wait is rung and counts as stalled until it answers") {
    FakeLoop loop;
    loop.waits = false;
    const Member one(&loop);
    const Member other(&loop);
    WaitUntil("the ring", [&] { return loop.Rung(); });
    WaitUntil("both", [&] { return one.ends.ours().stalled_since != 0 && other.ends.ours().stalled_since != 0; });
    const uint32_t since = one.ends.ours().stalled_since;
    CHECK(NowMs() - since < uint32_t{kLostMs});
    const uint32_t beat = one.ends.ours().beat;
    WaitUntil("beats all the same", [&] { return one.ends.ours().beat - beat > 3; });
    CHECK(one.ends.ours().stalled_since == since);
    loop.waits = true;
    ClearEvent(loop.bell.get());
    Pulse::OfProcess().Answer(&loop.loop);
    CHECK(one.ends.ours().stalled_since == 0);
    CHECK(other.ends.ours().stalled_since == 0);
  }

  TEST_CASE("the loops of a process stall each for itself") {
    FakeLoop turns;
    FakeLoop blocked;
    blocked.waits = false;
    const Member one(&turns);
    const Member other(&blocked);
    WaitUntil("the ring", [&] { return other.ends.ours().stalled_since != 0; });
    CHECK(one.ends.ours().stalled_since == 0);
    CHECK_FALSE(turns.Rung());
  }

  TEST_CASE("a peer that has promised beats and gives none is idle after its limit, not before") {
    FakeLoop loop;
    const Member member(&loop, {kBeatMs, 200, kNeverMs});
    member.ends.theirs().interval_ms = kBeatMs;
    const uint32_t begin = NowMs();
    WaitUntil("the ring", [&] { return loop.Rung(); });
    CHECK(member.session->idle());
    CHECK(NowMs() - begin >= 200);
  }

  TEST_CASE("a peer that beats, or has promised nothing, is never idle") {
    FakeLoop loop;
    const Member beats(&loop, {kBeatMs, 400, kNeverMs});
    const Member silent(&loop, {kBeatMs, 400, kNeverMs});
    beats.ends.theirs().interval_ms = kBeatMs;
    for (uint32_t beat = beats.ends.ours().beat; beats.ends.ours().beat - beat < 50;) {
      beats.ends.theirs().beat++;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CHECK_FALSE(beats.session->idle());
    CHECK_FALSE(silent.session->idle());
    CHECK_FALSE(loop.Rung());
  }

  TEST_CASE("a peer that promises less often than our limit gets twice its interval") {
    FakeLoop loop;
    const Member member(&loop, {kBeatMs, 60, kNeverMs});
    member.ends.theirs().interval_ms = 200;
    const uint32_t begin = NowMs();
    WaitUntil("the ring", [&] { return loop.Rung(); });
    CHECK(NowMs() - begin >= 400);
  }

  TEST_CASE("an idle peer that beats again is idle no more") {
    FakeLoop loop;
    const Member member(&loop, {kBeatMs, 60, kNeverMs});
    member.ends.theirs().interval_ms = kBeatMs;
    WaitUntil("idle", [&] { return member.session->idle(); });
    member.ends.theirs().beat++;
    WaitUntil("not idle", [&] { return !member.session->idle(); });
  }

  TEST_CASE("a stalled peer is told after the limit, and its recovery") {
    FakeLoop loop;
    const Member member(&loop, {kBeatMs, kNeverMs, 150});
    member.ends.theirs().stalled_since = NowMs() | 1;
    CHECK(member.session->StalledMs() == 0);
    WaitUntil("the ring", [&] { return loop.Rung(); });
    CHECK(member.session->StalledMs() >= 150);
    ClearEvent(loop.bell.get());
    member.ends.theirs().stalled_since = 0;
    WaitUntil("the second ring", [&] { return loop.Rung(); });
    CHECK(member.session->StalledMs() == 0);
  }

  TEST_CASE("nothing that a peer writes into its line makes our thread spin, or a stall of what is to come") {
    FakeLoop loop;
    const Member member(&loop, {kBeatMs, 100, 10});
    const uint64_t wakes = Pulse::OfProcess().wakes();
    const uint32_t begin = NowMs();
    for (uint32_t i = 1; NowMs() - begin < 300; i++) {
      member.ends.theirs().stalled_since = NowMs() + i;
      member.ends.theirs().interval_ms = UINT32_MAX - i;
      member.ends.theirs().beat = i * 7;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    CHECK(Pulse::OfProcess().wakes() - wakes <= (NowMs() - begin) / 10 + 5);
    member.ends.theirs().stalled_since = NowMs() + 100'000;
    CHECK(member.session->StalledMs() == 0);
    member.ends.theirs().interval_ms = UINT32_MAX;
    CHECK_FALSE(member.session->idle());
  }

  TEST_CASE("threads may come and go with sessions while others do") {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
      threads.emplace_back([] {
        FakeLoop loop;
        for (int round = 0; round < 50; round++) {
          loop.waits = round % 2 == 0;
          const Member member(&loop, {kBeatMs, 40, 40});
          member.ends.theirs().interval_ms = kBeatMs;
          Pulse::OfProcess().Answer(&loop.loop);
          if (round % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(60));
        }
      });
    for (std::thread& thread : threads) thread.join();
    WaitUntil("the end", [] { return !Pulse::OfProcess().running(); });
  }
}

}  // namespace actor_ipc
