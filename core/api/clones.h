// SPDX-License-Identifier: BSD-3-Clause
// Loops that the compiler vectorises for what the processor has: FOIL_CLONES makes a function once for each
// kind of x86-64, and the right one is called; FOIL_INLINE puts what it calls inside each. Belongs into files
// that begin with `#pragma GCC optimize("O3")`: GCC's -O2 leaves loops of unknown length scalar.
#pragma once

#define FOIL_INLINE inline __attribute__((always_inline))
#if defined(__x86_64__)
#define FOIL_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOIL_CLONES
#endif
