// The verdict of a fuzz target. Not assert(), which an optimized build leaves out.
#pragma once

#include <cstdlib>
#include <iostream>

// Ends the run, so that libFuzzer keeps the input; `what` is said first.
inline void require(bool holds, const char* what = "") {
    if (holds) return;
    std::cerr << what << '\n';
    std::abort();
}
