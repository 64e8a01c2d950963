// Run directory: the private folder in which sockets and locks of one user's programs meet.
//
// Thread safety: free functions.
// Locks are flock locks of the kernel: a holder that dies, however, frees them. The files stay, empty of meaning.
#pragma once

#include <sys/types.h>

#include "os/fd.h"
#include "os/status.h"

namespace actor_ipc {

/// Creates `path` (parents must exist) with `mode` if missing and checks that it is a real folder, ours, and not open
/// wider than `mode`. Errors: kUnsafeFolder, kSystem.
Status EnsureRunDirectory(const char* path, mode_t mode);

/// Takes the exclusive lock on the file `path`, created with 0600, and writes our process number into it.
/// Errors: kBusy with `*holder` set to the number that the holder wrote (0 if unknown), kUnsafeFolder, kSystem.
Status LockFile(const char* path, Fd* lock, pid_t* holder);

}  // namespace actor_ipc
