// Takes one JSON object apart as its text comes, a member at a time, so that a file larger than
// memory can be read. It finds where members begin and end; whether they are JSON, others judge.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace larder::ctl {

class MemberSplitter {
public:
    // `name` is a JSON string literal, `value` JSON text; either may still be malformed.
    using Take = std::function<void(std::string_view name, std::string_view value)>;

    // `longest`: bytes of one member that are kept at most.
    MemberSplitter(Take take, std::size_t longest);

    // Throws std::runtime_error, with the byte's place, for what is no object or too long.
    void feed(std::string_view text);
    bool is_whole() const noexcept { return state_ == State::after; }

private:
    enum class State { before = 1, name, colon, value, after };

    void step(char c);
    void end_member();
    [[noreturn]] void refuse(const char* why) const;

    const Take take_;
    const std::size_t longest_;
    State state_ = State::before;
    std::string name_, value_;
    std::uint64_t at_ = 0;
    std::size_t depth_ = 0;  // of brackets inside the value
    bool in_string_ = false, escaped_ = false, empty_ = true;
};

}  // namespace larder::ctl
