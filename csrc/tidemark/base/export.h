// Visibility of public symbols. The libraries are built with hidden visibility.
#pragma once

#define TIDEMARK_API __attribute__((visibility("default")))
