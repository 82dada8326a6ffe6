#include "member_splitter.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace larder::ctl {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace

MemberSplitter::MemberSplitter(Take take, std::size_t longest)
    : take_(std::move(take)), longest_(longest) {}

void MemberSplitter::refuse(const char* why) const {
    throw std::runtime_error(fmt::format("{} at byte {}", why, at_));
}

void MemberSplitter::feed(std::string_view text) {
    for (const char c : text) {
        step(c);
        ++at_;
    }
}

void MemberSplitter::end_member() {
    while (!value_.empty() && is_blank(value_.back())) value_.pop_back();
    if (value_.empty()) refuse("a value is missing");
    take_(name_, value_);
    name_.clear();
    value_.clear();
    empty_ = false;
}

void MemberSplitter::step(char c) {
    if (in_string_) {
        std::string& into = state_ == State::name ? name_ : value_;
        into += c;
        if (into.size() > longest_) refuse("a member is too long");
        if (std::exchange(escaped_, false)) return;
        escaped_ = c == '\\';
        if (c != '"') return;
        in_string_ = false;
        if (state_ == State::name) state_ = State::colon;
        return;
    }
    if (state_ != State::value && is_blank(c)) return;
    switch (state_) {
        case State::before:
            if (c != '{') refuse("expected an object");
            state_ = State::name;
            return;
        case State::name:
            if (c == '}' && empty_) {
                state_ = State::after;
                return;
            }
            if (c != '"') refuse("expected a name in quotes");
            in_string_ = true;
            name_ += c;
            return;
        case State::colon:
            if (c != ':') refuse("expected a colon");
            state_ = State::value;
            return;
        case State::value:
            if (depth_ == 0 && (c == ',' || c == '}')) {
                end_member();
                state_ = c == ',' ? State::name : State::after;
                return;
            }
            if (value_.empty() && is_blank(c)) return;
            value_ += c;
            if (value_.size() > longest_) refuse("a member is too long");
            if (c == '"') in_string_ = true;
            if (c == '{' || c == '[') ++depth_;
            if ((c == '}' || c == ']') && depth_-- == 0)
                refuse("a bracket closes that none opened");
            return;
        case State::after: refuse("something follows the object");
    }
}

}  // namespace larder::ctl
