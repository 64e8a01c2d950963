// Old glibc: lets an addon that was linked on a new machine run on machines with a glibc as old as Node's own floor, 2.28.
//
// Part of prebuilt addons only (option ACTOR_IPC_PREBUILD). Each function here came to glibc, or got a new version there,
// after 2.28; defined inside, the addon asks the system for none of them. They are hidden: nobody else gets to see them.
// test/package.test.ts reads from the addon which glibc it asks for.
#include <pthread.h>
#include <stdint.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__GLIBC__) && __SIZEOF_POINTER__ == 8

#pragma GCC visibility push(hidden)

/// Asked by std::shared_ptr: false makes its counts atomic always, as they must be beside Node's threads.
char __libc_single_threaded = 0;

/// Since 2.33. On 64-bit machines the kernel fills the same structure as glibc.
int fstat(int file, struct stat* facts) { return (int)syscall(SYS_fstat, file, facts); }

/// Since 2.36; named by std::random_device, which nothing here uses.
uint32_t arc4random(void) {
  uint32_t number = 0;
  if (getentropy(&number, sizeof number) != 0) __builtin_trap();
  return number;
}

/// In libc itself since 2.34, with a new version; the old one is the same function.
#if defined(__x86_64__)
#define OLD_PTHREAD "GLIBC_2.2.5"
#else
#define OLD_PTHREAD "GLIBC_2.17"
#endif
__attribute__((visibility("default"))) int old_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*),
                                                              void*);
__asm__(".symver old_pthread_create,pthread_create@" OLD_PTHREAD);
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) {
  return old_pthread_create(thread, attributes, body, argument);
}

#pragma GCC visibility pop

#endif
