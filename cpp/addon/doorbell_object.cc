#include "addon/doorbell_object.h"

#include <algorithm>
#include <utility>

#include "addon/convert.h"
#include "addon/segment_object.h"
#include "os/event.h"
#include "shm/park.h"
#include "shm/segment.h"

namespace actor_ipc {

namespace {

constexpr napi_type_tag kTypeTag = {0xf2a74de452e6b438, 0x6513270e269e0d37};
/// A parked round trip takes some 50 us, so a mean below this says that the peer answers as soon as it can.
constexpr uint64_t kBusyGapNs = 100'000;
/// One pause counts at most this much, so that a burst after a long silence is recognised within ten messages.
constexpr uint64_t kGapMaxNs = 400'000;
/// A peer that we have just woken can't answer sooner than a sleeping core wakes.
constexpr uint64_t kWakeNs = 50'000;

}  // namespace

void DoorbellObject::Register(Napi::Env env, Napi::Object exports) {
  exports.Set("Doorbell", DefineClass(env, "Doorbell",
                                      {InstanceAccessor<&DoorbellObject::GetFd>("fd"),
                                       InstanceMethod<&DoorbellObject::AdoptPeer>("adoptPeer"),
                                       InstanceMethod<&DoorbellObject::Ring>("ring"),
                                       InstanceMethod<&DoorbellObject::WatchWord>("watch"),
                                       InstanceMethod<&DoorbellObject::Unwatch>("unwatch"),
                                       InstanceMethod<&DoorbellObject::Listen>("listen"),
                                       InstanceMethod<&DoorbellObject::Again>("again"),
                                       InstanceMethod<&DoorbellObject::Close>("close")}));
}

DoorbellObject::DoorbellObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<DoorbellObject>(info), reactor_(Reactor::Of(info.Env())), mean_gap_ns_(kGapMaxNs) {
  own_ = SegmentObject::From(info, 0)->mapping();
  if (own_ == nullptr || !own_->writable()) throw Napi::TypeError::New(info.Env(), "argument 0 must be an own segment");
  park_ = ParkOf(own_->base());
  spin_ns_ = uint64_t{Uint32(info, 1)} * 1000;
  Check(info.Env(), CreateEvent(&bell_));
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
}

Napi::Value DoorbellObject::GetFd(const Napi::CallbackInfo& info) {
  CheckTag(info.Env(), info.This(), kTypeTag, "Doorbell");
  return Napi::Number::New(info.Env(), bell_.get());
}

/// adoptPeer(fd): takes the peer's bell. Throws BAD_PACKET if it is no eventfd.
void DoorbellObject::AdoptPeer(const Napi::CallbackInfo& info) {
  Fd peer = TakeFd(info, 0);
  Check(info.Env(), CheckEvent(peer.get()));
  peer_bell_ = std::move(peer);
}

void DoorbellObject::Ring(const Napi::CallbackInfo& info) {
  if (!peer_bell_.valid()) return;
  Check(info.Env(), RingEvent(peer_bell_.get()));
  if (hot_ && WindowNs() > 0) quiet_at_ns_ = std::max(quiet_at_ns_, Reactor::NowNs() + kWakeNs);
}

/// watch(segment, byteOffset, seen): calls back when that word differs from `seen` or from its value at the last call.
Napi::Value DoorbellObject::WatchWord(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Mapping>& mapping = SegmentObject::From(info, 0)->mapping();
  const uint32_t offset = Uint32(info, 1);
  if (mapping == nullptr || offset % sizeof(Word) != 0 || uint64_t{offset} + sizeof(Word) > mapping->bytes())
    throw Napi::RangeError::New(info.Env(), "the word is not within the segment");
  const Watch watch{mapping, reinterpret_cast<const Word*>(mapping->base() + offset), Uint32(info, 2)};
  size_t slot = 0;
  while (slot < watches_.size() && watches_[slot].word != nullptr) slot++;
  if (slot == watches_.size()) watches_.emplace_back();
  watches_[slot] = watch;
  // An armed doorbell would sleep through a word that has changed already.
  if (poll_ != nullptr && !hot_ && Due()) BecomeHot(Reactor::NowNs());
  return Napi::Number::New(info.Env(), static_cast<double>(slot));
}

void DoorbellObject::Unwatch(const Napi::CallbackInfo& info) {
  const uint32_t slot = Uint32(info, 0);
  if (slot < watches_.size()) watches_[slot] = Watch{};
}

/// listen(callback): arms the doorbell. The callback answers true if it left something undone and wants to be called
/// again after the event loop has had a turn.
void DoorbellObject::Listen(const Napi::CallbackInfo& info) {
  const Napi::Function callback = Callback(info, 0);
  if (poll_ != nullptr) throw Napi::Error::New(info.Env(), "the doorbell is listened to already");
  auto poll = std::make_unique<Poll>(reactor_, bell_.get(), [this](int) { OnBell(); });
  // The session's socket keeps the process running, not its bell.
  poll->Hold(false);
  if (!poll->Start(kUvReadable)) throw Napi::Error::New(info.Env(), "the event loop can't watch the doorbell");
  callback_ = Napi::Persistent(callback);
  poll_ = std::move(poll);
  Ref();
  BecomeHot(Reactor::NowNs());
}

/// again(): has the callback called in the next turn of the event loop, whatever the words say.
void DoorbellObject::Again(const Napi::CallbackInfo&) {
  if (poll_ == nullptr) return;
  again_ = true;
  if (!hot_) BecomeHot(Reactor::NowNs());
}

void DoorbellObject::Close(const Napi::CallbackInfo&) {
  if (poll_ != nullptr) {
    poll_->Close();
    poll_.reset();
    if (hot_) reactor_->RemoveHot(this);
    hot_ = false;
    callback_.Reset();
    Unref();
  }
  watches_.clear();
  bell_.Reset();
  peer_bell_.Reset();
  own_.reset();
  park_ = nullptr;
}

void DoorbellObject::OnBell() {
  ClearEvent(bell_.get());
  if (!hot_) BecomeHot(Reactor::NowNs());
  if (Due()) Deliver(Reactor::NowNs());
}

void DoorbellObject::BecomeHot(uint64_t now_ns) {
  Unpark(park_);
  hot_ = true;
  quiet_at_ns_ = now_ns;
  reactor_->AddHot(this);
}

bool DoorbellObject::Due() const {
  if (again_) return true;
  for (const Watch& watch : watches_)
    if (watch.word != nullptr && watch.word->load(std::memory_order_seq_cst) != watch.seen) return true;
  return false;
}

void DoorbellObject::Deliver(uint64_t now_ns) {
  for (Watch& watch : watches_)
    if (watch.word != nullptr) watch.seen = watch.word->load(std::memory_order_seq_cst);
  const uint64_t gap = std::min(now_ns - delivered_at_ns_, kGapMaxNs);
  mean_gap_ns_ += (gap >> 2) - (mean_gap_ns_ >> 2);
  delivered_at_ns_ = now_ns;
  const Napi::HandleScope scope(Env());
  [[maybe_unused]] const Napi::Object alive = Value();  // The callback may close this doorbell.
  again_ = false;  // The callback, and what it wakes, may ask for another call.
  const Napi::Value again = reactor_->Call(callback_, {});
  if (!again.IsEmpty() && again.IsBoolean() && again.As<Napi::Boolean>().Value()) again_ = true;
  if (!hot_) again_ = false;
  if (hot_) quiet_at_ns_ = std::max(quiet_at_ns_, Reactor::NowNs() + WindowNs());
}

bool DoorbellObject::Rest(uint64_t now_ns) {
  if (again_ || now_ns < quiet_at_ns_) return false;
  Park(park_);
  if (Due()) {
    Unpark(park_);
    return false;
  }
  hot_ = false;
  return true;
}

uint64_t DoorbellObject::WindowNs() const { return mean_gap_ns_ < kBusyGapNs ? spin_ns_ : 0; }

}  // namespace actor_ipc
