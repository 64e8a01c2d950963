// The few functions of libuv that the addon calls, over opaque handles.
//
// Why not uv.h: Node-API alone is what makes one binary work on every Node.js from 20 on, and the package of its headers
// brings no uv.h. libuv keeps the ABI of these functions within 1.x; sizes are asked for at run time (uv_handle_size) and
// the type numbers are checked by name when the addon loads (CheckUvTypes). Doorbells need uv_poll, because a waiting
// thread with a thread-safe function costs one more wake-up for each message.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {
struct uv_loop_s;
struct uv_handle_s;
struct uv_poll_s;
struct uv_prepare_s;
struct uv_idle_s;
typedef uv_loop_s uv_loop_t;
typedef uv_handle_s uv_handle_t;
typedef uv_poll_s uv_poll_t;
typedef uv_prepare_s uv_prepare_t;
typedef uv_idle_s uv_idle_t;
typedef void (*uv_close_cb)(uv_handle_t*);
typedef void (*uv_poll_cb)(uv_poll_t*, int status, int events);
typedef void (*uv_prepare_cb)(uv_prepare_t*);
typedef void (*uv_idle_cb)(uv_idle_t*);

size_t uv_handle_size(int type);
const char* uv_handle_type_name(int type);
void* uv_handle_get_data(const uv_handle_t*);
void uv_handle_set_data(uv_handle_t*, void*);
void uv_close(uv_handle_t*, uv_close_cb);
void uv_ref(uv_handle_t*);
void uv_unref(uv_handle_t*);
int uv_poll_init(uv_loop_t*, uv_poll_t*, int fd);
int uv_poll_start(uv_poll_t*, int events, uv_poll_cb);
int uv_poll_stop(uv_poll_t*);
int uv_prepare_init(uv_loop_t*, uv_prepare_t*);
int uv_prepare_start(uv_prepare_t*, uv_prepare_cb);
int uv_prepare_stop(uv_prepare_t*);
int uv_idle_init(uv_loop_t*, uv_idle_t*);
int uv_idle_start(uv_idle_t*, uv_idle_cb);
int uv_idle_stop(uv_idle_t*);
/// Nanoseconds for which the loop has waited for events, the present wait among them; from any thread. Node.js has all its
/// loops count it; one that does not answers 0.
uint64_t uv_metrics_idle_time(uv_loop_t*);
}

namespace actor_ipc {

inline constexpr int kUvIdle = 6;
inline constexpr int kUvPoll = 8;
inline constexpr int kUvPrepare = 9;
inline constexpr int kUvReadable = 1;
inline constexpr int kUvWritable = 2;

/// Whether the running libuv gives these handle types the numbers that we know.
bool CheckUvTypes();

}  // namespace actor_ipc
