// Pulse: the signs of life of a process, and those of the peers of all its sessions.
//
// One thread per process, started with the first session and ended with the last. At each beat it raises the counter in the
// own segment of every session, looks at the peers' counters, and looks whether the event loops of this process turn. So a
// busy event loop does not look dead, and a dead-locked one behind a living thread does not look alive.
//
// How a loop that waits is told from one that is blocked: libuv counts the time that a loop has waited for events, and the
// count moves while it waits. A loop that waits is left alone. One that does not is rung, and says so in its segments
// (`stalled_since`) until it answers: a busy loop does at its next turn, a blocked one does not. So an idle process wakes
// once per beat, whatever the number of its sessions, and a message costs nothing.
//
// Thread safety: all functions may be called from any thread; what a loop owns (its bell, its idle clock) must stay valid
// until Remove.
// Invariants
//  1. `lock_` is held for some microseconds and never while anything waits, so a loop may take it.
//  2. Every word of a peer is read once per look and compared only. A peer that lies about its own life harms nobody.
//  3. A time for which we ourselves were stopped is no silence of a peer.
//  4. The one Pulse of a process is never destroyed: its thread may still run while the process exits.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "os/fd.h"
#include "os/memory.h"
#include "os/status.h"
#include "shm/layout.h"

namespace actor_ipc {

/// In place of a number of milliseconds: for ever.
inline constexpr uint32_t kNeverMs = UINT32_MAX;

struct PulseLimits {
  uint32_t beat_ms;
  /// A peer whose counter stands still for this long is idle; raised to twice the interval that the peer promises.
  uint32_t idle_ms;
  /// A peer's loop that has not answered for this long is reported.
  uint32_t report_ms;
};

/// An event loop of this process.
class PulseLoop {
 public:
  /// `idle_ns(of)`: how long the loop has waited for events so far; may be called from any thread. `bell` is an eventfd that
  /// the loop watches.
  PulseLoop(int bell, uint64_t (*idle_ns)(void*), void* of) : bell_(bell), idle_ns_(idle_ns), of_(of) {}

 private:
  friend class Pulse;
  bool Waits() const;

  const int bell_;
  uint64_t (*const idle_ns_)(void*);
  void* const of_;
  uint32_t stalled_since_ = 0;  // These two: guarded by Pulse::lock_.
  uint64_t looked_at_ = 0;      // The number of the last look, since many sessions share a loop.
};

/// One session: our own words and what has been seen of the peer's.
class PulseSession {
 public:
  PulseSession(PulseLoop* loop, std::shared_ptr<Mapping> own, std::shared_ptr<Mapping> peer, PulseLimits limits);

  /// Whether the peer has given no sign of life for its limit. Any thread.
  bool idle() const { return idle_.load(std::memory_order_acquire); }
  /// How long the peer's loop has not answered, if that is longer than the limit; 0 else. Looks now. Any thread.
  uint32_t StalledMs() const;

 private:
  friend class Pulse;

  PulseLoop* const loop_;
  const std::shared_ptr<Mapping> own_;
  const std::shared_ptr<Mapping> peer_;
  PulseLine* const ours_;
  const PulseLine* const theirs_;
  const PulseLimits limits_;
  std::atomic<bool> idle_ = false;
  uint32_t seen_beat_;      // These three: guarded by Pulse::lock_.
  uint32_t silent_ms_ = 0;
  bool stalled_ = false;

  uint32_t StalledMsAt(uint32_t now_ms) const;
};

class Pulse {
 public:
  static Pulse& OfProcess();

  /// Begins to give signs of life in the session's own segment. Its loop is rung when idle() or StalledMs() has changed.
  /// Errors: kSystem (no thread could be started).
  Status Add(std::shared_ptr<PulseSession> session);
  /// The peer is told that no more signs come.
  void Remove(const std::shared_ptr<PulseSession>& session);
  /// To be called by the loop when its bell rings: it lives.
  void Answer(PulseLoop* loop);

  /// How often the thread has woken so far.
  uint64_t wakes() const { return wakes_.load(std::memory_order_relaxed); }
  bool running();

 private:
  Pulse() = default;
  Status Start();
  void Run();
  /// One look at everything. Answers in how many milliseconds the next one is due.
  uint32_t Look(uint32_t now_ms, uint32_t passed_ms);
  void LookAtLoop(PulseLoop* loop, uint32_t now_ms);
  uint32_t LookAtPeer(PulseSession* session, uint32_t now_ms, uint32_t passed_ms);
  uint32_t BeatMs() const;

  std::mutex lock_;
  std::vector<std::shared_ptr<PulseSession>> sessions_;
  bool running_ = false;
  /// Ends the thread's sleep: there is a new session, or none any more.
  Fd wake_;
  std::atomic<uint64_t> wakes_ = 0;
};

}  // namespace actor_ipc
