#include "support/scribe.hpp"

#include <cppunit/TestAssert.h>
#include <fmt/format.h>

#include <utility>

namespace larder::test {

void Scribe::use(int port) { client_ = std::make_unique<RawClient>(port); }

std::string Scribe::target(int number) const {
    return fmt::format("/api/kv/{}/k{}", bucket_, number);
}

Answer Scribe::write(std::size_t size) {
    const int number = ++number_;
    const std::string value =
        fmt::format(R"({{"n":{},"fill":"{}"}})", number, std::string(size, 'x'));
    unknown_[number] = value;
    Answer answer = client_->request("PUT", target(number), {}, value);
    if (answer.status == 201) held_[number] = value;
    if (answer.status != 500) unknown_.erase(number);
    return answer;
}

Answer Scribe::remove_one() {
    CPPUNIT_ASSERT_MESSAGE("nothing to delete", !held_.empty());
    // Not known until the answer says so: it may be there or not.
    const auto first = held_.extract(held_.begin());
    unknown_[first.key()] = first.mapped();
    Answer answer = client_->request("DELETE", target(first.key()));
    if (answer.status == 500) return answer;
    if (answer.status != 204) held_[first.key()] = first.mapped();
    unknown_.erase(first.key());
    return answer;
}

void Scribe::settle() {
    verify();
    for (const auto& [number, value] : std::exchange(unknown_, {})) {
        if (client_->request("GET", target(number)).status == 200) held_[number] = value;
    }
}

void Scribe::verify() const {
    for (int number = 1; number <= number_; ++number) {
        const Answer answer = client_->request("GET", target(number));
        const auto held = held_.find(number);
        const auto unknown = unknown_.find(number);
        if (held != held_.end()) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target(number), 200, answer.status);
            CPPUNIT_ASSERT_EQUAL(held->second, answer.body);
        } else if (unknown == unknown_.end() || answer.status != 200) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target(number), 404, answer.status);
        } else {
            CPPUNIT_ASSERT_EQUAL(unknown->second, answer.body);
        }
    }
    const Answer all = client_->request("GET", fmt::format("/api/kv/{}?all=true", bucket_));
    if (all.status == 404) return CPPUNIT_ASSERT(held_.empty());
    std::size_t keys = 0;
    for (std::size_t at = 0; (at = all.body.find(R"("n":)", at)) != std::string::npos; ++at) ++keys;
    CPPUNIT_ASSERT(keys >= held_.size() && keys <= held_.size() + unknown_.size());
}

}  // namespace larder::test
