// Writes numbered values to one bucket and remembers what it was told; shows after a restart
// whether the daemon kept its word. For one client at a time; the drills in tests/crash have many.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "support/raw_client.hpp"

namespace larder::test {

class Scribe {
public:
    explicit Scribe(std::string bucket) : bucket_(std::move(bucket)) {}

    // To this port from now on, over one connection.
    void use(int port);
    // The answer to one more value under a key of its own, of `size` bytes at least.
    Answer write(std::size_t size = 0);
    Answer remove_one();  // deletes one that was acknowledged; there must be one
    // How often write() was acknowledged.
    std::size_t acknowledged() const { return held_.size(); }
    std::string target(int number) const;
    std::string last_target() const { return target(number_); }

    // Asserts that every acknowledged value is read as it was sent, that no deleted or refused one
    // is, and that the bucket's list holds nothing else. A 500's value may be there or not.
    void verify() const;
    // verify() after a restart: what is there now must stay, what is not must stay away.
    void settle();

private:
    std::string bucket_;
    std::unique_ptr<RawClient> client_;
    int number_ = 0;
    std::map<int, std::string> held_;     // acknowledged and not deleted
    std::map<int, std::string> unknown_;  // answered 500, or not at all
};

}  // namespace larder::test
