// Requests as tests of the front write them out, and bodies whose bytes tell where they stand.
#pragma once

#include <cstddef>
#include <string>

namespace larder::test {

inline std::string get(const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

// `fields` are whole lines.
inline std::string post(const std::string& target, const std::string& body,
                        const std::string& fields = "") {
    return "POST " + target +
           " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           fields + "\r\n" + body;
}

inline std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
    return text;
}

}  // namespace larder::test
