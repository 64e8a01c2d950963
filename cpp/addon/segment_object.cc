#include "addon/segment_object.h"

#include <string>
#include <utility>

#include "addon/convert.h"
#include "shm/segment.h"

namespace actor_ipc {

namespace {

/// Random; tells a Segment from every other object that wraps something native.
constexpr napi_type_tag kTypeTag = {0x6d1c6a2e8f0b4d53, 0x9e37a1c45b28f06d};

}  // namespace

void SegmentObject::Register(Napi::Env env, Napi::Object exports) {
  exports.Set("Segment", DefineClass(env, "Segment",
                                     {InstanceAccessor<&SegmentObject::GetBuffer>("buffer"),
                                      InstanceAccessor<&SegmentObject::GetFd>("fd"),
                                      InstanceAccessor<&SegmentObject::GetBytes>("bytes"),
                                      InstanceAccessor<&SegmentObject::GetRings>("rings"),
                                      InstanceMethod<&SegmentObject::Window>("window"),
                                      InstanceMethod<&SegmentObject::Name>("name"),
                                      InstanceMethod<&SegmentObject::GiveBack>("giveBack"),
                                      InstanceMethod<&SegmentObject::CloseFile>("closeFile"),
                                      InstanceMethod<&SegmentObject::Close>("close")}));
}

SegmentObject* SegmentObject::From(const Napi::CallbackInfo& info, size_t index) {
  CheckTag(info.Env(), info[index], kTypeTag, "Segment");
  return Unwrap(info[index].As<Napi::Object>());
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
  auto named = std::make_shared<Named>();
  named->mapping = std::move(mapping);
  named_ = named.get();
  mapping_ = std::shared_ptr<Mapping>(std::move(named), &named_->mapping);
  buffer_.Open(info.Env(), mapping_);
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
}

Napi::Value SegmentObject::GetBuffer(const Napi::CallbackInfo& info) {
  CheckTag(info.Env(), info.This(), kTypeTag, "Segment");
  if (mapping_ == nullptr) throw Napi::Error::New(info.Env(), "the segment is closed");
  return buffer_.Value();
}

Napi::Value SegmentObject::GetFd(const Napi::CallbackInfo& info) {
  CheckTag(info.Env(), info.This(), kTypeTag, "Segment");
  return Napi::Number::New(info.Env(), file_.get());
}

Napi::Value SegmentObject::GetBytes(const Napi::CallbackInfo& info) {
  CheckTag(info.Env(), info.This(), kTypeTag, "Segment");
  return Napi::Number::New(info.Env(), mapping_ == nullptr ? 0 : static_cast<double>(mapping_->bytes()));
}

Napi::Value SegmentObject::GetRings(const Napi::CallbackInfo& info) {
  CheckTag(info.Env(), info.This(), kTypeTag, "Segment");
  Napi::Array list = Napi::Array::New(info.Env(), rings_.size());
  for (uint32_t i = 0; i < rings_.size(); i++) list.Set(i, Napi::Number::New(info.Env(), rings_[i]));
  return list;
}

/// window(offset, bytes): an ArrayBuffer of its own over that range. It keeps the memory mapped, also after close(), until
/// closeWindow() or the collector takes it. Writing into one of a peer's segment ends the process.
Napi::Value SegmentObject::Window(const Napi::CallbackInfo& info) {
  const uint64_t offset = Whole(info, 0);
  const uint64_t bytes = Whole(info, 1);
  if (mapping_ == nullptr) throw Napi::Error::New(info.Env(), "the segment is closed");
  if (offset > mapping_->bytes() || bytes > mapping_->bytes() - offset)
    throw Napi::RangeError::New(info.Env(), "the window is not within the segment");
  // V8 drops the memory of an empty buffer at once, and its finalizer with it.
  if (bytes == 0) return Napi::ArrayBuffer::New(info.Env(), 0);
  const napi_value buffer = MappingBuffer::Expose(info.Env(), mapping_, offset, bytes);
  if (buffer == nullptr) throw Napi::Error::New(info.Env(), "the window could not be made");
  return Napi::Value(info.Env(), buffer);
}

/// name(whole, lanes): what the last word calls this segment, and the ring of each lane. Does nothing unless
/// installLastWord() was called before.
void SegmentObject::Name(const Napi::CallbackInfo& info) {
  const std::string whole = Text(info, 0);
  if (!info[1].IsArray()) throw Napi::TypeError::New(info.Env(), "argument 1 must be an array of strings");
  if (mapping_ == nullptr || !LastWordInstalled()) return;
  std::vector<FaultName> names;
  names.emplace_back(mapping_->base(), mapping_->bytes(), whole.c_str());
  const auto lanes = info[1].As<Napi::Array>();
  for (uint32_t lane = 0; lane < lanes.Length() && 2 * lane + 1 < rings_.size(); lane++) {
    const Napi::Value name = lanes[lane];
    if (!name.IsString()) throw Napi::TypeError::New(info.Env(), "argument 1 must be an array of strings");
    names.emplace_back(mapping_->base() + rings_[2 * lane], rings_[2 * lane + 1],
                       name.As<Napi::String>().Utf8Value().c_str());
  }
  named_->names = std::move(names);
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
  buffer_.Close(info.Env());
  named_ = nullptr;
  mapping_.reset();
}

}  // namespace actor_ipc
