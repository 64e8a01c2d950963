#include "shm/pulse.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "os/event.h"
#include "shm/segment.h"

namespace actor_ipc {

namespace {

/// While a peer is reported as stalled: how soon its recovery is seen.
constexpr uint32_t kResumeMs = 250;
/// However its peers' words change, the thread sleeps this long between two looks.
constexpr uint32_t kSleepMinMs = 10;

uint32_t NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint32_t>(static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000);
}

/// The idle limit for a peer that promises to beat at that interval, which is its own word and may be anything.
uint32_t IdleLimitMs(uint32_t idle_ms, uint32_t interval_ms) {
  return interval_ms > kNeverMs / 2 ? kNeverMs : std::max(idle_ms, 2 * interval_ms);
}

/// A bell of ours that can't be rung is a mistake that nobody could mend here; the next beat rings again.
void Ring(int bell) { [[maybe_unused]] const Status status = RingEvent(bell); }

/// The thread must run none of the handlers of the program's signals. Faults stay with whoever causes them.
void BlockSignals() {
  sigset_t all;
  sigfillset(&all);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) sigdelset(&all, fault);
  // Of this thread alone on Linux; pthread_sigmask would ask for a newer glibc than Node does.
  sigprocmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

bool PulseLoop::Waits() const {
  const uint64_t before = idle_ns_(of_);
  return idle_ns_(of_) != before;
}

PulseSession::PulseSession(PulseLoop* loop, std::shared_ptr<Mapping> own, std::shared_ptr<Mapping> peer,
                           PulseLimits limits)
    : loop_(loop),
      own_(std::move(own)),
      peer_(std::move(peer)),
      ours_(PulseOf(own_->base())),
      theirs_(PulseOf(peer_->base())),
      limits_(limits),
      // Any other value: the first look finds a change, and no silence from before we looked.
      seen_beat_(theirs_->beat.load(std::memory_order_relaxed) - 1) {}

uint32_t PulseSession::StalledMs() const { return StalledMsAt(NowMs()); }

uint32_t PulseSession::StalledMsAt(uint32_t now_ms) const {
  const uint32_t since = theirs_->stalled_since.load(std::memory_order_relaxed);
  const uint32_t age = now_ms - since;
  // A time to come is either a lie or a millisecond of difference.
  if (since == 0 || age > INT32_MAX) return 0;
  return age >= limits_.report_ms ? std::max(age, 1u) : 0;
}

Pulse& Pulse::OfProcess() {
  static auto* const pulse = new Pulse;
  return *pulse;
}

Status Pulse::Add(std::shared_ptr<PulseSession> session) {
  const std::lock_guard<std::mutex> guard(lock_);
  if (!running_)
    if (Status status = Start(); !status.ok()) return status;
  const bool sooner = sessions_.empty() || session->limits_.beat_ms < BeatMs();
  PulseLine* const ours = session->ours_;
  ours->beat.store(ours->beat.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  ours->stalled_since.store(session->loop_->stalled_since_, std::memory_order_relaxed);
  ours->interval_ms.store(session->limits_.beat_ms, std::memory_order_relaxed);
  sessions_.push_back(std::move(session));
  if (sooner) Ring(wake_.get());
  return Status::Ok();
}

void Pulse::Remove(const std::shared_ptr<PulseSession>& session) {
  const std::lock_guard<std::mutex> guard(lock_);
  const auto place = std::find(sessions_.begin(), sessions_.end(), session);
  if (place == sessions_.end()) return;
  session->ours_->interval_ms.store(0, std::memory_order_relaxed);
  session->ours_->stalled_since.store(0, std::memory_order_relaxed);
  *place = std::move(sessions_.back());
  sessions_.pop_back();
  if (sessions_.empty() && running_) Ring(wake_.get());
}

void Pulse::Answer(PulseLoop* loop) {
  const std::lock_guard<std::mutex> guard(lock_);
  if (std::exchange(loop->stalled_since_, 0) == 0) return;
  for (const std::shared_ptr<PulseSession>& session : sessions_)
    if (session->loop_ == loop) session->ours_->stalled_since.store(0, std::memory_order_relaxed);
}

bool Pulse::running() {
  const std::lock_guard<std::mutex> guard(lock_);
  return running_;
}

Status Pulse::Start() {
  if (Status status = CreateEvent(&wake_); !status.ok()) return status;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const int error = pthread_create(
      &thread, &attributes,
      [](void* self) -> void* {
        static_cast<Pulse*>(self)->Run();
        return nullptr;
      },
      this);
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    wake_.Reset();
    return Status::System(error, "pthread_create");
  }
  running_ = true;
  return Status::Ok();
}

void Pulse::Run() {
  BlockSignals();
  prctl(PR_SET_NAME, "actor-ipc pulse");
  uint32_t looked_ms = NowMs();
  uint32_t sleep_ms = 0;
  for (;;) {
    int bell;
    {
      const std::lock_guard<std::mutex> guard(lock_);
      if (sessions_.empty()) {
        // The next session starts another thread.
        running_ = false;
        wake_.Reset();
        return;
      }
      bell = wake_.get();
      const uint32_t now_ms = NowMs();
      // Longer than planned is a time for which we got no processor, as our peers may not have either.
      const uint32_t passed_ms = std::min(now_ms - looked_ms, sleep_ms);
      looked_ms = now_ms;
      sleep_ms = Look(now_ms, passed_ms);
    }
    wakes_.fetch_add(1, std::memory_order_relaxed);
    // Only this thread closes it.
    pollfd ready{bell, POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(std::min<uint32_t>(sleep_ms, INT32_MAX))) > 0) ClearEvent(bell);
  }
}

uint32_t Pulse::Look(uint32_t now_ms, uint32_t passed_ms) {
  uint32_t next_ms = BeatMs();
  const uint64_t look = wakes() + 1;
  for (const std::shared_ptr<PulseSession>& session : sessions_) {
    PulseLoop* const loop = session->loop_;
    if (std::exchange(loop->looked_at_, look) != look) LookAtLoop(loop, now_ms);
    PulseLine* const ours = session->ours_;
    ours->stalled_since.store(loop->stalled_since_, std::memory_order_relaxed);
    ours->beat.store(ours->beat.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    next_ms = std::min(next_ms, LookAtPeer(session.get(), now_ms, passed_ms));
  }
  return std::max(next_ms, kSleepMinMs);
}

void Pulse::LookAtLoop(PulseLoop* loop, uint32_t now_ms) {
  // One that has been rung is asked nothing more until it answers.
  if (loop->stalled_since_ != 0 || loop->Waits()) return;
  loop->stalled_since_ = now_ms | 1;
  Ring(loop->bell_);
}

uint32_t Pulse::LookAtPeer(PulseSession* session, uint32_t now_ms, uint32_t passed_ms) {
  uint32_t next_ms = kNeverMs;
  const uint32_t beat = session->theirs_->beat.load(std::memory_order_relaxed);
  const uint32_t interval_ms = session->theirs_->interval_ms.load(std::memory_order_relaxed);
  const uint32_t limit_ms = IdleLimitMs(session->limits_.idle_ms, interval_ms);
  if (beat != session->seen_beat_ || interval_ms == 0) {
    session->seen_beat_ = beat;
    session->silent_ms_ = 0;
  } else {
    session->silent_ms_ += std::min(passed_ms, kNeverMs - 1 - session->silent_ms_);
  }
  const bool idle = session->silent_ms_ >= limit_ms;
  if (!idle && session->silent_ms_ > 0) next_ms = limit_ms - session->silent_ms_;

  const uint32_t since = session->theirs_->stalled_since.load(std::memory_order_relaxed);
  const bool stalled = session->StalledMsAt(now_ms) > 0;
  if (stalled)
    next_ms = std::min(next_ms, kResumeMs);
  else if (since != 0)
    next_ms = std::min(next_ms, session->limits_.report_ms);

  const bool changed = idle != session->idle() || stalled != session->stalled_;
  session->idle_.store(idle, std::memory_order_release);
  session->stalled_ = stalled;
  if (changed) Ring(session->loop_->bell_);
  return next_ms;
}

uint32_t Pulse::BeatMs() const {
  uint32_t beat_ms = kNeverMs;
  for (const std::shared_ptr<PulseSession>& session : sessions_) beat_ms = std::min(beat_ms, session->limits_.beat_ms);
  return beat_ms;
}

}  // namespace actor_ipc
