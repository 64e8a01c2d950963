// Convert: JavaScript values in, Status out. The one place where a Status becomes a JavaScript error.
#pragma once

#include <napi.h>

#include <span>
#include <string>
#include <vector>

#include "os/fd.h"
#include "os/status.h"

namespace actor_ipc {

/// The `code` that a JavaScript caller sees for a Status.
const char* CodeName(Code code);

/// A JavaScript error { code, errno?, message: "step: reason" }.
Napi::Error ErrorOf(Napi::Env env, const Status& status);

/// Throws ErrorOf if the status is not ok.
void Check(Napi::Env env, const Status& status);

uint32_t Uint32(const Napi::CallbackInfo& info, size_t index);
int32_t Int32(const Napi::CallbackInfo& info, size_t index);
/// A size or a tick count: an integer that JavaScript holds exactly.
uint64_t Whole(const Napi::CallbackInfo& info, size_t index);
bool Flag(const Napi::CallbackInfo& info, size_t index);
/// The bytes of a Uint8Array, valid until JavaScript runs again.
std::span<uint8_t> Bytes(const Napi::CallbackInfo& info, size_t index);
std::string Text(const Napi::CallbackInfo& info, size_t index);
Napi::Function Callback(const Napi::CallbackInfo& info, size_t index);
std::vector<uint32_t> Uint32List(const Napi::CallbackInfo& info, size_t index);
/// Throws a TypeError unless `value` is an object of ours with that tag. Node-API checks whom a method is called on, but not
/// whom a getter is read of nor what an argument is: unchecked, one wrapped object would be taken for another.
void CheckTag(Napi::Env env, const Napi::Value& value, const napi_type_tag& tag, const char* wanted);
/// Takes over a descriptor that JavaScript owned as a number.
Fd TakeFd(const Napi::CallbackInfo& info, size_t index);

}  // namespace actor_ipc
