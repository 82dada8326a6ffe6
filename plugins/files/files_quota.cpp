#include "files_quota.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "larder/error.hpp"

namespace larder::files {
namespace {

Error exceeded(std::uint64_t available) {
    return std::move(Error(Errc::no_space, "quota-exceeded",
                           fmt::format("the quota leaves room for {} bytes", available))
                         .with("available", std::to_string(available)));
}

}  // namespace

Quota::Reservation::Reservation(Reservation&& other) noexcept
    : quota_(other.quota_), held_(std::exchange(other.held_, 0)) {}

Quota::Reservation& Quota::Reservation::operator=(Reservation&& other) noexcept {
    std::swap(quota_, other.quota_);
    std::swap(held_, other.held_);
    return *this;
}

Quota::Reservation::~Reservation() {
    if (quota_ == nullptr || held_ == 0) return;
    const std::scoped_lock lock(quota_->mutex_);
    quota_->figures_.reserved -= held_;
}

void Quota::Reservation::resize(std::uint64_t bytes) {
    const std::scoped_lock lock(quota_->mutex_);
    Figures& figures = quota_->figures_;
    if (bytes > held_ && bytes - held_ > figures.available()) {
        throw exceeded(figures.available() + held_);  // of this one's room, too, it has the use
    }
    figures.reserved = figures.reserved - held_ + bytes;
    held_ = bytes;
}

void Quota::Reservation::force(std::uint64_t bytes) noexcept {
    const std::scoped_lock lock(quota_->mutex_);
    quota_->figures_.reserved = quota_->figures_.reserved - held_ + bytes;
    held_ = bytes;
}

void Quota::Reservation::cover(std::uint64_t bytes) {
    constexpr std::uint64_t kStep = 4U << 20U;
    if (bytes <= held_) return;
    {
        const std::scoped_lock lock(quota_->mutex_);
        Figures& figures = quota_->figures_;
        const std::uint64_t step = std::max(bytes, held_ + kStep) - held_;
        if (step <= figures.available()) {
            figures.reserved += step;
            held_ += step;
            return;
        }
    }
    resize(bytes);
}

void Quota::set_limit(std::uint64_t bytes) {
    const std::scoped_lock lock(mutex_);
    figures_.limit = bytes;
}

Quota::Figures Quota::figures() const {
    const std::scoped_lock lock(mutex_);
    return figures_;
}

void Quota::demand(std::uint64_t bytes) const {
    const std::scoped_lock lock(mutex_);
    if (bytes > figures_.available()) throw exceeded(figures_.available());
}

void Quota::add_used(std::uint64_t bytes) {
    const std::scoped_lock lock(mutex_);
    figures_.used += bytes;
}

void Quota::remove_used(std::uint64_t bytes) {
    const std::scoped_lock lock(mutex_);
    figures_.used -= std::min(figures_.used, bytes);
}

void Quota::settle(Reservation& from, std::uint64_t bytes) {
    const std::scoped_lock lock(mutex_);
    figures_.reserved -= std::exchange(from.held_, 0);
    figures_.used += bytes;
}

}  // namespace larder::files
