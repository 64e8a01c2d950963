#include "addon/convert.h"

#include <string.h>

namespace actor_ipc {

namespace {

constexpr double kWholeMax = 9007199254740991.0;

[[noreturn]] void Refuse(const Napi::CallbackInfo& info, size_t index, const char* wanted) {
  throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index) + " must be " + wanted);
}

double Number(const Napi::CallbackInfo& info, size_t index, double min, double max, const char* wanted) {
  // One call that also says whether it is one: what wraps it asks for the type first, and hot calls feel that.
  double value = 0;
  if (napi_get_value_double(info.Env(), info[index], &value) != napi_ok) Refuse(info, index, wanted);
  if (!(value >= min && value <= max) || value != static_cast<double>(static_cast<int64_t>(value)))
    Refuse(info, index, wanted);
  return value;
}

}  // namespace

const char* CodeName(Code code) {
  switch (code) {
    case Code::kOk: return "OK";
    case Code::kSystem: return "SYSTEM";
    case Code::kAgain: return "AGAIN";
    case Code::kClosed: return "CLOSED";
    case Code::kReset: return "RESET";
    case Code::kBadSegment: return "BAD_SEGMENT";
    case Code::kBadLayout: return "BAD_LAYOUT";
    case Code::kTooLarge: return "TOO_LARGE";
    case Code::kBadPacket: return "BAD_PACKET";
    case Code::kUnsafeFolder: return "UNSAFE_FOLDER";
    case Code::kBusy: return "BUSY";
    case Code::kGone: return "GONE";
    case Code::kLocked: return "LOCKED";
    case Code::kFull: return "FULL";
    case Code::kNoMemory: return "NO_MEMORY";
    case Code::kMismatch: return "MISMATCH";
    case Code::kNotFound: return "NOT_FOUND";
  }
  return "SYSTEM";
}

Napi::Error ErrorOf(Napi::Env env, const Status& status) {
  std::string message = status.step();
  if (status.error() != 0) message += std::string(": ") + strerror(status.error());
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, CodeName(status.code())));
  if (status.error() != 0) error.Set("errno", Napi::Number::New(env, status.error()));
  return error;
}

void Check(Napi::Env env, const Status& status) {
  if (!status.ok()) throw ErrorOf(env, status);
}

uint32_t Uint32(const Napi::CallbackInfo& info, size_t index) {
  return static_cast<uint32_t>(Number(info, index, 0, UINT32_MAX, "an unsigned 32-bit integer"));
}

int32_t Int32(const Napi::CallbackInfo& info, size_t index) {
  return static_cast<int32_t>(Number(info, index, INT32_MIN, INT32_MAX, "a 32-bit integer"));
}

uint64_t Whole(const Napi::CallbackInfo& info, size_t index) {
  return static_cast<uint64_t>(Number(info, index, 0, kWholeMax, "a safe non-negative integer"));
}

bool Flag(const Napi::CallbackInfo& info, size_t index) {
  bool value = false;
  if (napi_get_value_bool(info.Env(), info[index], &value) != napi_ok) Refuse(info, index, "a boolean");
  return value;
}

std::span<uint8_t> Bytes(const Napi::CallbackInfo& info, size_t index) {
  // Not as it was created but as it is now: a detached one has no bytes.
  napi_typedarray_type type = napi_uint8_array;
  size_t bytes = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(info.Env(), info[index], &type, &bytes, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array)
    Refuse(info, index, "a Uint8Array");
  return {static_cast<uint8_t*>(data), bytes};
}

std::string Text(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsString()) Refuse(info, index, "a string");
  return info[index].As<Napi::String>().Utf8Value();
}

Napi::Function Callback(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsFunction()) Refuse(info, index, "a function");
  return info[index].As<Napi::Function>();
}

std::vector<uint32_t> Uint32List(const Napi::CallbackInfo& info, size_t index) {
  if (!info[index].IsArray()) Refuse(info, index, "an array of unsigned 32-bit integers");
  const auto array = info[index].As<Napi::Array>();
  std::vector<uint32_t> list(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Napi::Value item = array[i];
    if (!item.IsNumber()) Refuse(info, index, "an array of unsigned 32-bit integers");
    list[i] = item.As<Napi::Number>().Uint32Value();
  }
  return list;
}

void CheckTag(Napi::Env env, const Napi::Value& value, const napi_type_tag& tag, const char* wanted) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&tag))
    throw Napi::TypeError::New(env, std::string("this must be a ") + wanted);
}

Fd TakeFd(const Napi::CallbackInfo& info, size_t index) { return Fd(Int32(info, index)); }

}  // namespace actor_ipc
