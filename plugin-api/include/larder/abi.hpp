// The stamp by which the host judges a plugin's file before any of its code runs. Not the interface
// itself: that begins in plugin.hpp.
//
// The stamp has no pointers and stands in the ELF section ".note.larder", because dlopen() already
// runs constructors: whatever must be known before that has to be read out of the file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace larder {

inline constexpr std::uint16_t kApiMajor = 1;  // raised when a plugin built before would misbehave
inline constexpr std::uint16_t kApiMinor = 0;  // raised when the host learns something new

// What changes the layout or the meaning of types that cross the line. Compared bit by bit.
enum AbiFlag : std::uint32_t {
    kAbiCxx11Strings = 1U << 0,
    kAbiDebugContainers = 1U << 1,
    kAbiAddressSanitizer = 1U << 2,
    kAbiThreadSanitizer = 1U << 3,
};

inline constexpr std::uint32_t kAbiFlags =
#if defined(_GLIBCXX_USE_CXX11_ABI) && _GLIBCXX_USE_CXX11_ABI
    kAbiCxx11Strings |
#endif
#if defined(_GLIBCXX_DEBUG)
    kAbiDebugContainers |
#endif
#if defined(__SANITIZE_ADDRESS__)
    kAbiAddressSanitizer |
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    kAbiAddressSanitizer |
#endif
#endif
#if defined(__SANITIZE_THREAD__)
    kAbiThreadSanitizer |
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    kAbiThreadSanitizer |
#endif
#endif
    0U;

// The first 16 bytes never change; later fields are appended, `size` tells how many there are.
// A plugin is taken when the majors are equal, its minor is at most the host's, and flags and
// sizes agree.
struct AbiStamp {
    char magic[8] = {'L', 'A', 'R', 'D', 'E', 'R', 'P', '1'};
    std::uint32_t size = sizeof(AbiStamp);
    std::uint16_t api_major = kApiMajor;
    std::uint16_t api_minor = kApiMinor;
    std::uint32_t flags = kAbiFlags;
    std::uint16_t sizeof_string = sizeof(std::string);
    std::uint16_t sizeof_function = sizeof(std::function<void()>);
    char compiler[32] = {};  // for the message only, never compared
};

constexpr AbiStamp make_abi_stamp() {
    AbiStamp stamp;
    const char* const version = __VERSION__;
    for (unsigned i = 0; i + 1 < sizeof(stamp.compiler) && version[i] != '\0'; ++i) {
        stamp.compiler[i] = version[i];
    }
    return stamp;
}

}  // namespace larder
