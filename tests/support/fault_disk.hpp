// A disk in memory that can be told to fail: the Nth call of a kind with an errno, or a power cut
// that forgets what was not synced. Not a file system's semantics beyond what storage-kit uses:
// folders always exist, and nothing is durable that POSIX does not promise.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage-kit/file_system.hpp"

namespace larder::test {

enum class Call : std::uint8_t {
    create,
    write,
    sync,
    allocate,
    truncate,
    rename,
    remove,
    sync_directory,
    open,
    read
};
inline constexpr std::array kChangingCalls{Call::create,   Call::write,         Call::sync,
                                           Call::allocate, Call::truncate,      Call::rename,
                                           Call::remove,   Call::sync_directory};

// What goes wrong, and when.
struct Fault {
    std::size_t at = 0;    // 1 is the next call; 0 never
    int error = 0;         // errno; 0 is a power cut, after which every call fails with EIO
    bool lasting = false;  // every later call of the kind fails as well
    bool any = true;       // counts all changing calls, else those of `kind`
    Call kind = Call::write;
    std::size_t cut_at = 0;  // a power cut as well, at this changing call; 0 never
};

class FaultDisk final : public storage::FileSystem {
    static constexpr std::size_t kPage = 4096;

    struct Inode {
        std::string now;          // as programs see it
        std::string durable;      // as the platter has it
        std::vector<bool> dirty;  // pages that the next sync writes
        std::int64_t modified_ms = 1'000'000;
    };
    using InodePtr = std::shared_ptr<Inode>;
    using Names = std::map<std::string, InodePtr>;
    struct NameChange {
        std::string remove;  // this name goes, if not empty
        std::string add;     // and this one comes
        InodePtr inode;
    };

    class Handle final : public storage::File {
    public:
        Handle(FaultDisk& disk, InodePtr inode, std::string path)
            : disk_(disk), inode_(std::move(inode)), path_(std::move(path)) {}
        void write(std::uint64_t offset, std::span<const std::string_view> parts) override {
            if (disk_.meanwhile) disk_.meanwhile(path_);
            std::string all;
            for (const auto part : parts) all += part;
            const std::lock_guard lock(disk_.mutex_);
            disk_.before(Call::write, [&](std::size_t share) {  // a short write comes first
                disk_.put(*inode_, offset, std::string_view(all).substr(0, all.size() * share / 4));
            });
            disk_.put(*inode_, offset, all);
        }
        std::size_t read(std::uint64_t offset, std::span<char> into) override {
            const std::lock_guard lock(disk_.mutex_);
            disk_.before(Call::read);
            const std::string& now = inode_->now;
            if (offset >= now.size()) return 0;
            const std::size_t n = std::min<std::size_t>(into.size(), now.size() - offset);
            std::copy_n(now.data() + offset, n, into.data());
            return n;
        }
        void sync_data() override {
            const std::lock_guard lock(disk_.mutex_);
            // What a failed sync did not write is clean from then on: the next one leaves it out.
            disk_.before(Call::sync, [&](std::size_t) { disk_.settle(*inode_, true); });
            disk_.settle(*inode_, false);
        }
        void allocate(std::uint64_t offset, std::uint64_t length) override {
            const std::lock_guard lock(disk_.mutex_);
            disk_.before(Call::allocate, [&](std::size_t share) {
                disk_.put(*inode_, offset, std::string(length * share / 4, '\0'));
            });
            disk_.put(*inode_, offset, std::string(length, '\0'));
        }
        void truncate(std::uint64_t length) override {
            const std::lock_guard lock(disk_.mutex_);
            disk_.before(Call::truncate);
            inode_->now.resize(length);
            inode_->dirty.resize((length + kPage - 1) / kPage, true);
        }
        std::uint64_t size() const override {
            const std::lock_guard lock(disk_.mutex_);
            return inode_->now.size();
        }
        std::int64_t modified_ms() const override { return inode_->modified_ms; }

    private:
        FaultDisk& disk_;
        InodePtr inode_;
        std::string path_;
    };

public:
    explicit FaultDisk(unsigned seed = 1) : random_(seed) {}

    void arm(const Fault& fault) {
        const std::lock_guard lock(mutex_);
        fault_ = fault;
        calls_ = changes_ = 0;
    }
    std::size_t calls() const { return calls_; }  // of the armed kind, since arm()
    bool is_cut() const { return cut_; }
    bool struck() const { return struck_; }

    // What is found when the power comes back. For each page and each change of names that was not
    // synced, chance says whether it had reached the platter; no order is kept.
    std::unique_ptr<FaultDisk> after_power_cut(unsigned seed) {
        const std::lock_guard lock(mutex_);
        auto next = std::make_unique<FaultDisk>(seed);
        if (!cut_) take_image();
        next->now_ = next->durable_ = image_;
        return next;
    }

    // Called before a file is created or written, with its path: the moment for something else to
    // happen. Set while nothing runs.
    std::function<void(const std::string&)> meanwhile;

    // ---- for tests to look at and change what is on it, as an admin would: durable at once
    std::string content(const std::string& path) const { return now_.at(path)->now; }
    void place(const std::string& path, std::string content) {
        auto inode = std::make_shared<Inode>();
        inode->modified_ms = 2'000'000;
        inode->now = inode->durable = std::move(content);
        now_[path] = inode;
        durable_[path] = inode;
    }
    void drop(const std::string& path) {
        now_.erase(path);
        durable_.erase(path);
    }
    std::vector<std::string> names() const {
        std::vector<std::string> all;
        for (const auto& [name, inode] : now_) all.push_back(name);
        return all;
    }

    // ---- FileSystem
    std::unique_ptr<storage::File> open_read(const std::string& path) override {
        const std::lock_guard lock(mutex_);
        before(Call::open);
        return std::make_unique<Handle>(*this, find(path), path);
    }
    std::unique_ptr<storage::File> open_write(const std::string& path) override {
        return open_read(path);
    }
    std::unique_ptr<storage::File> create(const std::string& path) override {
        if (meanwhile) meanwhile(path);
        const std::lock_guard lock(mutex_);
        before(Call::create);
        const auto found = now_.find(path);
        if (found != now_.end()) {  // emptied; its durable bytes stay until a sync
            found->second->now.clear();
            found->second->dirty.clear();
            return std::make_unique<Handle>(*this, found->second, path);
        }
        auto inode = std::make_shared<Inode>();
        now_[path] = inode;
        pending_.push_back({{}, path, inode});
        return std::make_unique<Handle>(*this, inode, path);
    }
    bool exists(const std::string& path) override {
        const std::lock_guard lock(mutex_);
        return now_.contains(path);
    }
    void rename(const std::string& from, const std::string& to) override {
        const std::lock_guard lock(mutex_);
        InodePtr inode = find(from);
        const NameChange change{from, to, inode};
        before(Call::rename, [&](std::size_t share) {
            if (cut_ && share % 2 == 0) pending_.push_back(change);
        });
        now_.erase(from);
        now_[to] = std::move(inode);
        pending_.push_back(change);
    }
    void remove(const std::string& path) override {
        const std::lock_guard lock(mutex_);
        before(Call::remove);
        if (now_.erase(path) != 0) pending_.push_back({path, {}, nullptr});
    }
    void make_directory(const std::string&) override {}
    void sync_directory(const std::string&) override {
        const std::lock_guard lock(mutex_);
        before(Call::sync_directory);
        for (const auto& change : pending_) apply(durable_, change);
        pending_.clear();
    }
    std::vector<std::string> list(const std::string& directory) override {
        const std::lock_guard lock(mutex_);
        std::vector<std::string> found;
        for (const auto& [name, inode] : now_) {
            if (storage::parent_of(name) == directory)
                found.push_back(name.substr(directory.size() + 1));
        }
        return found;
    }

private:
    // Counts the call and fails it where that is due; `partly` does then what was done of it, in
    // quarters.
    template <typename Partly> void before(Call call, Partly partly) {
        if (cut_) throw std::system_error(EIO, std::generic_category(), "after the power cut");
        const bool changing = call != Call::open && call != Call::read;
        const bool cut_now = changing && ++changes_ == fault_.cut_at;
        const bool counted = fault_.any ? changing : call == fault_.kind;
        if (counted) ++calls_;
        const bool reached = calls_ == fault_.at || (fault_.lasting && calls_ > fault_.at);
        const bool due = counted && fault_.at != 0 && reached;
        if (!cut_now && !due) return;
        struck_ = true;
        const bool cuts = cut_now || fault_.error == 0;
        cut_ = cuts;
        partly(std::uniform_int_distribution<std::size_t>(0, 3)(random_));
        if (cuts) take_image();
        throw std::system_error(cuts ? EIO : fault_.error, std::generic_category(), "injected");
    }
    void before(Call call) {
        before(call, [](std::size_t) {});
    }

    InodePtr find(const std::string& path) const {
        const auto found = now_.find(path);
        if (found == now_.end()) throw std::system_error(ENOENT, std::generic_category(), path);
        return found->second;
    }

    static void put(Inode& inode, std::uint64_t offset, std::string_view bytes) {
        if (bytes.empty()) return;
        const std::size_t end = offset + bytes.size();
        if (inode.now.size() < end) inode.now.resize(end);
        inode.now.replace(offset, bytes.size(), bytes);
        inode.dirty.resize((inode.now.size() + kPage - 1) / kPage, true);
        for (std::size_t page = offset / kPage; page <= (end - 1) / kPage; ++page) {
            inode.dirty[page] = true;
        }
    }

    // Writes dirty pages to the platter, by chance or all. The size goes with them.
    void settle(Inode& inode, bool by_chance) { inode.durable = settled(inode, by_chance, true); }

    std::string settled(Inode& inode, bool by_chance, bool cleans) {
        const auto lucky = [&] { return !by_chance || std::bernoulli_distribution(0.5)(random_); };
        std::string result = inode.durable;
        if (lucky()) result.resize(inode.now.size());
        for (std::size_t page = 0; page < inode.dirty.size(); ++page) {
            const std::size_t begin = page * kPage;
            if (!inode.dirty[page]) continue;
            if (begin < result.size() && lucky()) {
                const std::size_t n =
                    std::min({kPage, result.size() - begin, inode.now.size() - begin});
                result.replace(begin, n, inode.now, begin, n);
            }
            if (cleans) inode.dirty[page] = false;
        }
        return result;
    }

    static void apply(Names& names, const NameChange& change) {
        if (!change.remove.empty()) names.erase(change.remove);
        if (!change.add.empty()) names[change.add] = change.inode;
    }

    void take_image() {
        Names names = durable_;
        for (const NameChange& change : pending_) {
            if (std::bernoulli_distribution(0.5)(random_)) apply(names, change);
        }
        image_.clear();
        for (const auto& [name, inode] : names) {
            auto copy = std::make_shared<Inode>();
            copy->modified_ms = inode->modified_ms;
            copy->now = copy->durable = settled(*inode, true, false);
            image_[name] = copy;
        }
    }

    mutable std::mutex mutex_;
    std::mt19937 random_;
    Fault fault_;
    std::size_t calls_ = 0, changes_ = 0;
    bool cut_ = false, struck_ = false;
    Names now_, durable_, image_;
    std::deque<NameChange> pending_;
};

}  // namespace larder::test
