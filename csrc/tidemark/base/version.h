// The version of Tidemark: the one place where it is written (CMake and pip read it from here).
#pragma once

#define TIDEMARK_VERSION "0.1.0"
