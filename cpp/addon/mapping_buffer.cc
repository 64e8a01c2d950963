#include "addon/mapping_buffer.h"

namespace actor_ipc {

napi_value MappingBuffer::Expose(Napi::Env env, const std::shared_ptr<Mapping>& mapping, size_t offset, size_t bytes,
                                 std::shared_ptr<Mapping>** held) {
  auto* owned = new std::shared_ptr<Mapping>(mapping);
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, mapping->base() + offset, bytes,
      [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<Mapping>*>(hint); }, owned, &buffer);
  if (status != napi_ok) {
    delete owned;
    return nullptr;
  }
  if (held != nullptr) *held = owned;
  return buffer;
}

void MappingBuffer::Open(Napi::Env env, const std::shared_ptr<Mapping>& mapping) {
  const napi_value buffer = Expose(env, mapping, 0, mapping->bytes(), &held_);
  if (buffer == nullptr)
    throw Napi::Error::New(env, "this JavaScript engine allows no external buffers, so it can't share memory");
  base_ = mapping->base();
  bytes_ = mapping->bytes();
  buffer_ = Napi::Persistent(Napi::Object(env, buffer));
}

void MappingBuffer::Close(Napi::Env env) {
  if (held_ == nullptr) return;
  void* base = nullptr;
  size_t bytes = 0;
  napi_get_arraybuffer_info(env, buffer_.Value(), &base, &bytes);
  // One that was detached or transferred by somebody else has given its memory to another buffer, or its finalizer has
  // run: either way what it held is no longer ours to touch.
  const bool ours = base == base_ && bytes == bytes_;
  const napi_status status = napi_detach_arraybuffer(env, buffer_.Value());
  // Detached, no view can reach the memory, so it goes now rather than when the collector gets to the buffer. An engine
  // that refused leaves it to the collector.
  if (ours && status == napi_ok) held_->reset();
  held_ = nullptr;
  buffer_.Reset();
}

}  // namespace actor_ipc
