// Crash points: places between two accesses of shared memory at which a test can let a process die, or stop.
//
// Each step of an operation on shared memory that another process could see half done has one, with a name that is unique in
// cpp/. Only tests compile them in (ACTOR_IPC_CRASH_POINTS); elsewhere they are nothing at all.
#pragma once

namespace actor_ipc {

#ifdef ACTOR_IPC_CRASH_POINTS
/// What happens at each point; set in a process of its own, before it touches shared memory.
inline void (*at_crash_point)(const char* name) = nullptr;
#define CRASH_POINT(name) \
  do { \
    if (::actor_ipc::at_crash_point != nullptr) ::actor_ipc::at_crash_point(name); \
  } while (false)
#else
#define CRASH_POINT(name) \
  do { \
  } while (false)
#endif

}  // namespace actor_ipc
