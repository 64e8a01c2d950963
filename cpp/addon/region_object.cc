#include "addon/region_object.h"

#include <string.h>

#include <algorithm>
#include <span>
#include <utility>

#include "addon/convert.h"
#include "os/datagram.h"

namespace actor_ipc {

namespace {

/// What a call answers that others can be in the way of; the rest is thrown.
constexpr int kDone = 0;
constexpr int kNothing = 1;
constexpr int kLockedNow = 2;
/// Done, and somebody is to be told of it.
constexpr int kDoneRingsDue = 3;
/// The same for take(), added to the number of bytes.
constexpr uint32_t kTookRingsDue = 1u << 30;
/// A larger scratch is used only as far as this, so that the mark above stands out.
constexpr size_t kScratchMax = kTookRingsDue - 1;

/// As in src/transport/region.ts: something may be there that the one who is rung waits for.
constexpr uint8_t kWhyRoom = 1;

/// Throws what JavaScript got wrong as a RangeError and the rest with its code.
void CheckNumbers(Napi::Env env, const Status& status) {
  if (status.code() == Code::kNotFound) throw Napi::RangeError::New(env, std::string("no such ") + status.step());
  Check(env, status);
}

Napi::Number NumberOf(Napi::Env env, uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }

}  // namespace

void RegionObject::Register(Napi::Env env, Napi::Object exports) {
  exports.Set("Region", DefineClass(env, "Region",
                                    {InstanceAccessor<&RegionObject::GetFd>("fd"),
                                     InstanceAccessor<&RegionObject::GetBytes>("bytes"),
                                     InstanceAccessor<&RegionObject::GetGeneration>("generation"),
                                     InstanceAccessor<&RegionObject::GetSlot>("slot"),
                                     InstanceMethod<&RegionObject::Join>("join"),
                                     InstanceMethod<&RegionObject::Leave>("leave"),
                                     InstanceMethod<&RegionObject::Bells>("bells"),
                                     InstanceMethod<&RegionObject::Users>("users"),
                                     InstanceMethod<&RegionObject::OpenPipe>("pipe"),
                                     InstanceMethod<&RegionObject::Enqueue>("enqueue"),
                                     InstanceMethod<&RegionObject::Dequeue>("dequeue"),
                                     InstanceMethod<&RegionObject::TakeInto>("take"),
                                     InstanceMethod<&RegionObject::DequeueBlock>("dequeueBlock"),
                                     InstanceMethod<&RegionObject::Ack>("ack"),
                                     InstanceMethod<&RegionObject::Reject>("reject"),
                                     InstanceMethod<&RegionObject::Unwait>("unwait"),
                                     InstanceMethod<&RegionObject::Construct>("construct"),
                                     InstanceMethod<&RegionObject::EnqueueBlock>("enqueueBlock"),
                                     InstanceMethod<&RegionObject::View>("view"),
                                     InstanceMethod<&RegionObject::Release>("release"),
                                     InstanceMethod<&RegionObject::TakeRings>("takeRings"),
                                     InstanceMethod<&RegionObject::Recover>("recover"),
                                     InstanceMethod<&RegionObject::Stats>("stats"),
                                     InstanceMethod<&RegionObject::StatsOf>("pipeStats"),
                                     InstanceMethod<&RegionObject::Close>("close")}));
}

RegionObject::RegionObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RegionObject>(info) {
  Mapping mapping;
  if (info[1].IsUndefined()) {
    Check(info.Env(), CreateRegion(Whole(info, 0), &file_, &mapping));
  } else {
    file_ = TakeFd(info, 0);
    Check(info.Env(), AttachRegion(file_.get(), Whole(info, 1), &mapping));
  }
  region_ = std::make_unique<Region>(std::make_shared<Mapping>(std::move(mapping)));
  for (int i = 0; i < 16; i++) {
    constexpr char kDigits[] = "0123456789abcdef";
    generation_ += kDigits[region_->generation()[i] >> 4];
    generation_ += kDigits[region_->generation()[i] & 15];
  }
}

RegionObject::~RegionObject() { LeaveAndRing(); }

/// For a worker thread that ends, say: nobody else finds out, since its process lives on.
void RegionObject::LeaveAndRing() {
  if (region_ == nullptr || region_->slot() < 0) return;
  const auto path_of = [&](uint32_t slot) { return bells_ + std::to_string(slot) + ".bell"; };
  if (bells_.empty() || !region_->LeaveInTime().ok()) return;
  // The file of our own bell stays: it answers nobody, and the slot's next user replaces it.
  Fd ringer;
  if (!OpenRinger(&ringer).ok()) return;
  uint64_t rings = region_->TakeRings();
  for (uint32_t slot = 0; rings != 0; slot++, rings >>= 1)
    // Whoever is not there needs no ring.
    if ((rings & 1) != 0) (void)RingBell(ringer.get(), path_of(slot).c_str(), kWhyRoom);
}

Napi::Value RegionObject::GetFd(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), file_.get()); }

Napi::Value RegionObject::GetBytes(const Napi::CallbackInfo& info) {
  return NumberOf(info.Env(), region_ == nullptr ? 0 : region_->mapping()->bytes());
}

Napi::Value RegionObject::GetGeneration(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), generation_);
}

Napi::Value RegionObject::GetSlot(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), region_ == nullptr ? -1 : region_->slot());
}

void RegionObject::Join(const Napi::CallbackInfo& info) { Check(info.Env(), Opened(info.Env()).Join()); }

void RegionObject::Leave(const Napi::CallbackInfo& info) { Check(info.Env(), Opened(info.Env()).Leave()); }

void RegionObject::Bells(const Napi::CallbackInfo& info) { bells_ = Text(info, 0); }

Napi::Value RegionObject::Users(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<RegionUser> users;
  Check(env, Opened(env).Users(&users));
  Napi::Array list = Napi::Array::New(env, users.size());
  for (uint32_t i = 0; i < users.size(); i++) {
    Napi::Object user = Napi::Object::New(env);
    user.Set("slot", Napi::Number::New(env, users[i].slot));
    user.Set("pid", Napi::Number::New(env, users[i].pid));
    user.Set("startTicks", NumberOf(env, users[i].ticks));
    list.Set(i, user);
  }
  return list;
}

/// pipe(name, capacityPackets): its number, or -1 if it is not there and is not to be made.
Napi::Value RegionObject::OpenPipe(const Napi::CallbackInfo& info) {
  const std::string name = Text(info, 0);
  uint32_t pipe = 0;
  const Status status = Opened(info.Env()).OpenPipe(name, Uint32(info, 1), &pipe);
  if (status.code() == Code::kNotFound) return Napi::Number::New(info.Env(), -1);
  Check(info.Env(), status);
  return Napi::Number::New(info.Env(), pipe);
}

/// enqueue(pipe, bytes, wait): also kDoneRingsDue, so that a call of takeRings() need not follow each packet.
Napi::Value RegionObject::Enqueue(const Napi::CallbackInfo& info) {
  const uint32_t pipe = Uint32(info, 0);
  const std::span<const uint8_t> bytes = Bytes(info, 1);
  Region& region = Opened(info.Env());
  const Status status = region.Enqueue(pipe, bytes.data(), bytes.size(), Flag(info, 2));
  if (status.ok() && region.RingsDue()) return Napi::Number::New(info.Env(), kDoneRingsDue);
  return Answer(info.Env(), status);
}

Napi::Value RegionObject::Dequeue(const Napi::CallbackInfo& info) {
  return Hand(info, Flag(info, 2) ? Take::kAcknowledge : Take::kCopy, Flag(info, 3));
}

/// take(pipe, scratch, wait): the number of bytes that are now in `scratch`, plus kTookRingsDue if so, a Buffer of its own for a packet that has no
/// room there, or minus what dequeue() would answer.
Napi::Value RegionObject::TakeInto(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const uint32_t pipe = Uint32(info, 0);
  const std::span<uint8_t> scratch = Bytes(info, 1);
  Region& region = Opened(env);
  Delivery packet;
  const Status status = region.Dequeue(pipe, Take::kCopy, Flag(info, 2), &packet);
  if (!status.ok()) return Napi::Number::New(env, -Answer(env, status).As<Napi::Number>().DoubleValue());
  const bool fits = scratch.data() != nullptr && packet.bytes <= std::min(scratch.size(), kScratchMax);
  Napi::Value answer;
  if (!fits)
    answer = Napi::Buffer<uint8_t>::Copy(env, packet.data, packet.bytes);
  else if (packet.bytes > 0)
    memcpy(scratch.data(), packet.data, packet.bytes);
  if (packet.block != 0) region.ReleaseSoon(packet.block);
  // The release may have made room for somebody.
  return fits ? Napi::Number::New(env, packet.bytes + (region.RingsDue() ? kTookRingsDue : 0u)) : answer;
}

Napi::Value RegionObject::DequeueBlock(const Napi::CallbackInfo& info) {
  return Hand(info, Take::kBlock, Flag(info, 2));
}

/// Fills argument 1 with a packet of pipe number argument 0.
Napi::Value RegionObject::Hand(const Napi::CallbackInfo& info, Take take, bool wait) {
  const Napi::Env env = info.Env();
  if (!info[1].IsObject()) throw Napi::TypeError::New(env, "argument 1 must be an object");
  Napi::Object target = info[1].As<Napi::Object>();
  Region& region = Opened(env);
  Delivery packet;
  const Status status = region.Dequeue(Uint32(info, 0), take, wait, &packet);
  if (!status.ok()) return Answer(env, status);
  // What follows runs JavaScript if the target has setters, so nothing of the packet is used after the copy.
  Napi::Value bytes = env.Null();
  try {
    if (take != Take::kBlock) bytes = Napi::Buffer<uint8_t>::Copy(env, packet.data, packet.bytes);
  } catch (const Napi::Error&) {
    // No memory for the copy: a packet that can go back does.
    if (take == Take::kAcknowledge) (void)region.Reject(packet.block);
    if (take == Take::kCopy && packet.block != 0) region.ReleaseSoon(packet.block);
    throw;
  }
  if (take == Take::kCopy && packet.block != 0) region.ReleaseSoon(std::exchange(packet.block, 0));
  target.Set("block", NumberOf(env, packet.block));
  target.Set("bytes", bytes);
  target.Set("deliveries", Napi::Number::New(env, packet.deliveries));
  return Napi::Number::New(env, kDone);
}

Napi::Value RegionObject::Ack(const Napi::CallbackInfo& info) {
  return Answer(info.Env(), Opened(info.Env()).Ack(Whole(info, 0)));
}

Napi::Value RegionObject::Reject(const Napi::CallbackInfo& info) {
  return Answer(info.Env(), Opened(info.Env()).Reject(Whole(info, 0)));
}

Napi::Value RegionObject::Unwait(const Napi::CallbackInfo& info) {
  return Answer(info.Env(), Opened(info.Env()).Unwait(Uint32(info, 0)));
}

Napi::Value RegionObject::Construct(const Napi::CallbackInfo& info) {
  const std::span<const uint8_t> bytes = Bytes(info, 0);
  uint64_t block = 0;
  uint8_t* data = nullptr;
  Check(info.Env(), Opened(info.Env()).Construct(bytes.size(), &block, &data));
  if (!bytes.empty()) memcpy(data, bytes.data(), bytes.size());
  return NumberOf(info.Env(), block);
}

Napi::Value RegionObject::EnqueueBlock(const Napi::CallbackInfo& info) {
  return Answer(info.Env(), Opened(info.Env()).EnqueueBlock(Uint32(info, 0), Whole(info, 1), Flag(info, 2)));
}

Napi::Value RegionObject::View(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Region& region = Opened(env);
  const uint8_t* data = nullptr;
  uint32_t bytes = 0;
  CheckNumbers(env, region.View(Whole(info, 0), &data, &bytes));
  if (!buffer_.open()) buffer_.Open(env, region.mapping());
  const auto buffer = buffer_.Value().As<Napi::ArrayBuffer>();
  return Napi::Uint8Array::New(env, bytes, buffer, static_cast<size_t>(data - region.mapping()->base()));
}

Napi::Value RegionObject::Release(const Napi::CallbackInfo& info) {
  return Answer(info.Env(), Opened(info.Env()).Release(Whole(info, 0)));
}

Napi::Value RegionObject::TakeRings(const Napi::CallbackInfo& info) {
  uint64_t rings = Opened(info.Env()).TakeRings();
  Napi::Array list = Napi::Array::New(info.Env());
  for (uint32_t slot = 0; rings != 0; slot++, rings >>= 1)
    if ((rings & 1) != 0) list.Set(list.Length(), Napi::Number::New(info.Env(), slot));
  return list;
}

Napi::Value RegionObject::Recover(const Napi::CallbackInfo& info) {
  const RegionUser user{Uint32(info, 0), Int32(info, 1), Whole(info, 2)};
  return Answer(info.Env(), Opened(info.Env()).Recover(user));
}

Napi::Value RegionObject::Stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Region& region = Opened(env);
  RegionStats stats;
  Check(env, region.Stats(&stats));
  Napi::Object answer = Napi::Object::New(env);
  answer.Set("bytes", NumberOf(env, region.mapping()->bytes()));
  answer.Set("used", NumberOf(env, stats.pool.used));
  answer.Set("free", NumberOf(env, stats.pool.free));
  answer.Set("largest", NumberOf(env, stats.pool.largest));
  answer.Set("blocks", Napi::Number::New(env, stats.pool.blocks));
  answer.Set("pristine", Napi::Boolean::New(env, stats.pool.blocks == 0));
  answer.Set("repairs", Napi::Number::New(env, stats.repairs));
  answer.Set("users", Napi::Number::New(env, stats.users));
  return answer;
}

Napi::Value RegionObject::StatsOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  PipeStats stats;
  CheckNumbers(env, Opened(env).StatsOf(Uint32(info, 0), &stats));
  Napi::Object answer = Napi::Object::New(env);
  answer.Set("capacity", Napi::Number::New(env, stats.capacity));
  answer.Set("packets", Napi::Number::New(env, stats.packets));
  answer.Set("unacknowledged", Napi::Number::New(env, stats.unacknowledged));
  answer.Set("enqueued", NumberOf(env, stats.enqueued));
  answer.Set("dequeued", NumberOf(env, stats.dequeued));
  return answer;
}

void RegionObject::Close(const Napi::CallbackInfo& info) {
  file_.Reset();
  LeaveAndRing();
  region_.reset();
  buffer_.Close(info.Env());
}

Region& RegionObject::Opened(Napi::Env env) {
  if (region_ == nullptr) throw ErrorOf(env, Status::Of(Code::kClosed, "the region is closed"));
  return *region_;
}

Napi::Value RegionObject::Answer(Napi::Env env, const Status& status) {
  if (status.code() == Code::kAgain) return Napi::Number::New(env, kNothing);
  if (status.code() == Code::kLocked) return Napi::Number::New(env, kLockedNow);
  CheckNumbers(env, status);
  return Napi::Number::New(env, kDone);
}

}  // namespace actor_ipc
