// Doorbell for JavaScript: how one session wakes its peer and is woken.
//
// States: armed (parked in shared memory, waiting on the eventfd) and hot (awake; its words are compared by the
// Reactor's spin until they have been quiet for the spin window).
// Adaptive window: spinning pays only while the next message is likely to come within it, so a running mean of the
// distance between deliveries decides; sporadic traffic goes to sleep at once.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "addon/reactor.h"
#include "os/fd.h"
#include "os/memory.h"
#include "shm/layout.h"

namespace actor_ipc {

class DoorbellObject : public Napi::ObjectWrap<DoorbellObject>, public Spinner {
 public:
  static void Register(Napi::Env env, Napi::Object exports);
  /// new Doorbell(segment, spinUs): `segment` is our own, whose park word this doorbell keeps.
  explicit DoorbellObject(const Napi::CallbackInfo& info);

  bool Due() const override;
  void Deliver(uint64_t now_ns) override;
  bool Rest(uint64_t now_ns) override;

 private:
  struct Watch {
    std::shared_ptr<Mapping> mapping;  // Keeps the word mapped.
    const Word* word = nullptr;
    uint32_t seen = 0;
  };

  Napi::Value GetFd(const Napi::CallbackInfo& info);
  void AdoptPeer(const Napi::CallbackInfo& info);
  void Ring(const Napi::CallbackInfo& info);
  Napi::Value WatchWord(const Napi::CallbackInfo& info);
  void Unwatch(const Napi::CallbackInfo& info);
  void Listen(const Napi::CallbackInfo& info);
  void Again(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  void OnBell();
  void BecomeHot(uint64_t now_ns);
  uint64_t WindowNs() const;

  Reactor* reactor_;
  Fd bell_;
  Fd peer_bell_;
  std::shared_ptr<Mapping> own_;
  ParkLine* park_;
  std::vector<Watch> watches_;
  std::unique_ptr<Poll> poll_;
  Napi::FunctionReference callback_;
  uint64_t spin_ns_;
  uint64_t quiet_at_ns_ = 0;
  uint64_t delivered_at_ns_ = 0;
  uint64_t mean_gap_ns_;
  bool hot_ = false;
  bool again_ = false;
};

}  // namespace actor_ipc
