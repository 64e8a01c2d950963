// Pulse for JavaScript: one session's part in the signs of life that the thread of this process gives and reads.
//
// Lifetime: a Pulse keeps both segments mapped until close(). The event loop has one bell for all its sessions, made with the
// first and closed with the last, or with the environment.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "addon/reactor.h"
#include "os/fd.h"
#include "shm/pulse.h"

namespace actor_ipc {

class PulseObject;

/// What the thread rings to ask whether this loop turns, and to tell that something about a peer has changed.
class PulseBell : public std::enable_shared_from_this<PulseBell> {
 public:
  /// The bell of that loop; made at the first call, and again after all its users have let go of it. Null if the loop can't
  /// watch it.
  static std::shared_ptr<PulseBell> Of(Reactor* reactor);

  PulseLoop* loop() { return &loop_; }
  void Join(PulseObject* member) { members_.push_back(member); }
  void Leave(PulseObject* member);
  /// The environment ends: the thread must not touch this loop any more.
  void End();

 private:
  PulseBell(Reactor* reactor, Fd bell);
  void OnBell();

  Fd bell_;
  PulseLoop loop_;
  Poll poll_;
  /// Holes are left while OnBell runs, since a callback may close any member.
  std::vector<PulseObject*> members_;
};

class PulseObject : public Napi::ObjectWrap<PulseObject> {
 public:
  static void Register(Napi::Env env, Napi::Object exports);
  /// new Pulse(own, peer, beatMs, idleMs, reportMs): gives signs of life in the segment `own` from now on.
  explicit PulseObject(const Napi::CallbackInfo& info);
  ~PulseObject() override { Detach(); }

  /// Calls back if what is known of the peer has changed.
  void Tell();
  /// Ends the session's part in the thread's work, and no more: JavaScript may be gone already.
  void Detach();

 private:
  /// listen(callback(stalledMs, idle)): called when the peer turns idle, and when its loop stalls (0 when it turns again).
  void Listen(const Napi::CallbackInfo& info);
  Napi::Value GetIdle(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  Reactor* reactor_;
  std::shared_ptr<PulseBell> bell_;
  std::shared_ptr<PulseSession> session_;
  Napi::FunctionReference callback_;
  bool told_idle_ = false;
  bool told_stalled_ = false;
};

}  // namespace actor_ipc
