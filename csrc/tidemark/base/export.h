// Attributes of symbols. The libraries are built with hidden visibility.
#pragma once

#define TIDEMARK_API __attribute__((visibility("default")))

// For thread_local variables on paths that run once per op: read without a call. They take a few
// bytes of what the loader keeps for libraries that are loaded late; not for more than pointers.
#define TIDEMARK_FAST_TLS __attribute__((tls_model("initial-exec")))
