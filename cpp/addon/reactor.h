// Reactor: one per environment (main thread or worker). Owns every handle that the addon has in that event loop, calls
// into JavaScript, and lets recently active doorbells spin for a moment before the loop sleeps.
//
// Thread safety: everything here belongs to the thread of its environment.
// Lifetime: created when the addon is loaded, lives until the last of its handles has been closed after the environment
// began to end; an addon that was not cleaned up by its users closes everything by itself then.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "addon/uv_loop.h"
#include "os/fd.h"

namespace actor_ipc {

class PulseBell;
class Reactor;

/// One uv_poll handle. Its memory outlives this object until libuv has closed it.
class Poll {
 public:
  using Ready = std::function<void(int events)>;

  /// REQUIRES: `fd` stays open until Close.
  Poll(Reactor* reactor, int fd, Ready ready);
  ~Poll() { Close(); }
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;

  bool Start(int events);
  void Stop();
  /// Whether this handle alone keeps the process running.
  void Hold(bool hold);
  void Close();

 private:
  friend class Reactor;
  static void OnReady(uv_poll_t* handle, int status, int events);

  Reactor* reactor_;
  uv_poll_t* handle_ = nullptr;
  Ready ready_;
};

/// What spins: a doorbell whose session was active a moment ago.
class Spinner {
 public:
  virtual ~Spinner() = default;
  /// Whether one of its words has changed since its last delivery, or it asked to be called again.
  virtual bool Due() const = 0;
  /// Calls into JavaScript.
  virtual void Deliver(uint64_t now_ns) = 0;
  /// Goes to sleep if its time is over. Answers whether it sleeps now.
  virtual bool Rest(uint64_t now_ns) = 0;
};

class Reactor {
 public:
  /// The reactor of this environment; made at the first call.
  static Reactor* Of(Napi::Env env);

  Napi::Env env() const { return env_; }
  uv_loop_t* loop() const { return loop_; }

  void AddHot(Spinner* spinner);
  void RemoveHot(Spinner* spinner);

  /// Calls `callback` as the loop itself would: microtasks run afterwards, and what it throws is an uncaught exception.
  /// Answers the returned value, or an empty one if it threw or the environment is ending.
  Napi::Value Call(const Napi::FunctionReference& callback, std::initializer_list<napi_value> arguments);

  /// Runs what the event loop calls. While an environment ends the loop still turns, but nothing of JavaScript can be made
  /// or called any more: what then fails must not leave this frame.
  void Guard(const std::function<void()>& body);

  /// Keeps a descriptor that JavaScript knows as a mere number, so that it is closed at the latest with the environment: a
  /// worker that is terminated closes nothing by itself.
  void Keep(Fd file) { kept_.push_back(std::move(file)); }
  /// Forgets a kept descriptor that is about to be closed.
  void Forget(int number);

  /// Where the keep-alive thread rings for all sessions of this loop; empty while there are none.
  std::weak_ptr<PulseBell>& pulse_bell() { return pulse_bell_; }

  static uint64_t NowNs();

 private:
  explicit Reactor(Napi::Env env);
  ~Reactor() = default;
  static void KeepReactor(Napi::Env, Reactor*) {}

  void Prepare();
  void SetSpinning(bool on);
  void Track(Poll* poll);
  void Untrack(Poll* poll);
  void CloseHandle(uv_handle_t* handle);
  void End();
  void EndIfClosed();

  friend class Poll;

  Napi::Env env_;
  uv_loop_t* loop_ = nullptr;
  napi_async_context context_ = nullptr;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  uv_prepare_t* prepare_ = nullptr;
  uv_idle_t* idle_ = nullptr;
  bool spinning_ = false;
  bool ending_ = false;
  int closing_ = 0;
  std::vector<Poll*> polls_;
  std::vector<Fd> kept_;
  std::weak_ptr<PulseBell> pulse_bell_;
  /// Holes are left while Prepare runs, since a callback may close any doorbell.
  std::vector<Spinner*> hot_;
};

}  // namespace actor_ipc
