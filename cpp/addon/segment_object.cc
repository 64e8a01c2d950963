#include "addon/segment_object.h"

#include <utility>

#include "addon/convert.h"
#include "shm/segment.h"

namespace actor_ipc {

void SegmentObject::Register(Napi::Env env, Napi::Object exports) {
  exports.Set("Segment", DefineClass(env, "Segment",
                                     {InstanceAccessor<&SegmentObject::GetBuffer>("buffer"),
                                      InstanceAccessor<&SegmentObject::GetFd>("fd"),
                                      InstanceAccessor<&SegmentObject::GetBytes>("bytes"),
                                      InstanceAccessor<&SegmentObject::GetRings>("rings"),
                                      InstanceMethod<&SegmentObject::GiveBack>("giveBack"),
                                      InstanceMethod<&SegmentObject::CloseFile>("closeFile"),
                                      InstanceMethod<&SegmentObject::Close>("close")}));
}

SegmentObject::SegmentObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SegmentObject>(info) {
  Mapping mapping;
  if (info.Length() == 1) {
    Check(info.Env(), CreateArenaSegment(Whole(info, 0), &file_, &mapping));
  } else if (info[1].IsArray()) {
    const auto kind = static_cast<SegmentKind>(Uint32(info, 0));
    const std::vector<uint32_t> capacities = Uint32List(info, 1);
    Check(info.Env(), CreateSegment(kind, capacities, Uint32(info, 2), &file_, &mapping));
    for (uint32_t lane = 0; lane < capacities.size(); lane++) {
      const TailLine* tail = TailOf(mapping.base(), lane);
      rings_.insert(rings_.end(), {tail->offset, tail->capacity});
    }
  } else {
    const auto kind = static_cast<SegmentKind>(Uint32(info, 0));
    file_ = TakeFd(info, 1);
    std::vector<RingPlace> places;
    Check(info.Env(), AttachSegment(file_.get(), Whole(info, 2), Whole(info, 3), kind, &mapping, &places));
    for (const RingPlace& place : places) rings_.insert(rings_.end(), {place.offset, place.capacity});
  }
  mapping_ = std::make_shared<Mapping>(std::move(mapping));
  Expose(info.Env());
}

void SegmentObject::Expose(Napi::Env env) {
  auto* held = new std::shared_ptr<Mapping>(mapping_);
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, mapping_->base(), mapping_->bytes(),
      [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<Mapping>*>(hint); }, held, &buffer);
  if (status != napi_ok) {
    delete held;
    throw Napi::Error::New(env, "this JavaScript engine allows no external buffers, so it can't share memory");
  }
  held_by_buffer_ = held;
  buffer_ = Napi::Persistent(Napi::Object(env, buffer));
}

Napi::Value SegmentObject::GetBuffer(const Napi::CallbackInfo& info) {
  if (mapping_ == nullptr) throw Napi::Error::New(info.Env(), "the segment is closed");
  return buffer_.Value();
}

Napi::Value SegmentObject::GetFd(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), file_.get()); }

Napi::Value SegmentObject::GetBytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), mapping_ == nullptr ? 0 : static_cast<double>(mapping_->bytes()));
}

Napi::Value SegmentObject::GetRings(const Napi::CallbackInfo& info) {
  Napi::Array list = Napi::Array::New(info.Env(), rings_.size());
  for (uint32_t i = 0; i < rings_.size(); i++) list.Set(i, Napi::Number::New(info.Env(), rings_[i]));
  return list;
}

void SegmentObject::GiveBack(const Napi::CallbackInfo& info) {
  const uint64_t offset = Whole(info, 0);
  const uint64_t bytes = Whole(info, 1);
  if (mapping_ == nullptr) return;
  Check(info.Env(), GivePagesBack(*mapping_, offset, bytes));
}

void SegmentObject::CloseFile(const Napi::CallbackInfo&) { file_.Reset(); }

void SegmentObject::Close(const Napi::CallbackInfo& info) {
  file_.Reset();
  if (mapping_ == nullptr) return;
  const napi_status status = napi_detach_arraybuffer(info.Env(), buffer_.Value());
  // Detached, no view can reach the memory, so it goes now rather than when the collector gets to the buffer. An engine
  // that refused leaves it to the collector.
  if (status == napi_ok) held_by_buffer_->reset();
  held_by_buffer_ = nullptr;
  buffer_.Reset();
  mapping_.reset();
}

}  // namespace actor_ipc
