#ifdef ACTOR_IPC_CRASH_POINTS
namespace actor_ipc { void CrashPoint(const char* name); }
#define CRASH_POINT(name) ::actor_ipc::CrashPoint(name)
#else
#define CRASH_POINT(name) ((void)0)
#endif
