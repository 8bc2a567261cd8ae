// Attributes of symbols. The libraries are built with hidden visibility.
#pragma once

#define TIDEMARK_API __attribute__((visibility("default")))

// For what paths that run once per op seldom need: kept out of their code, which then lies in fewer
// lines of the instruction cache. Between two ops of torch's the cache forgets it all.
#define TIDEMARK_RARE __attribute__((noinline, cold))

// For thread_local variables on paths that run once per op: read without a call. They take a few
// bytes of what the loader keeps for libraries that are loaded late; not for more than pointers.
#define TIDEMARK_FAST_TLS __attribute__((tls_model("initial-exec")))
