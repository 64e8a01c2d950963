// The folder below prebuilds/ with the binaries for a machine like this one. src/transport/native.ts looks for the same.
import { readFileSync } from 'node:fs';

/** `linux-x64-glibc`: whoever runs Node on another C library can load no addon of this one. */
export function prebuildName() {
  const libc = readFileSync('/proc/self/maps', 'latin1').includes('/ld-musl-') ? 'musl' : 'glibc';
  return `${process.platform}-${process.arch}-${libc}`;
}
