#include "backup_gzip.hpp"

#include <libdeflate.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "larder/error.hpp"

namespace larder::backup {
namespace {

constexpr std::size_t kBlock = 512U << 10U, kSample = 8U << 10U, kSamples = 4;
constexpr int kLevel = 6;
constexpr unsigned kMostThreads = 8;

struct Block {
    std::string plain, packed;
    std::size_t packed_size = 0;
    bool done = false, failed = false;
};

// The compressors of one thread.
class Packer {
public:
    Packer()
        : good_(libdeflate_alloc_compressor(kLevel)),
          quick_(libdeflate_alloc_compressor(1)),
          none_(libdeflate_alloc_compressor(0)) {}
    ~Packer() {
        libdeflate_free_compressor(good_);
        libdeflate_free_compressor(quick_);
        libdeflate_free_compressor(none_);
    }
    Packer(const Packer&) = delete;
    Packer& operator=(const Packer&) = delete;

    bool pack(Block& block) {
        if (good_ == nullptr || quick_ == nullptr || none_ == nullptr) return false;
        block.packed.resize(libdeflate_gzip_compress_bound(good_, kBlock));
        block.packed_size = run(choose(block), block.plain, block.packed);
        return block.packed_size > 0;
    }

private:
    static std::size_t run(libdeflate_compressor* with, std::string_view in, std::string& out) {
        return libdeflate_gzip_compress(with, in.data(), in.size(), out.data(), out.size());
    }
    // What is packed already (pictures, archives) is taken as it is: no sample of it gets smaller.
    libdeflate_compressor* choose(Block& block) {
        const std::string_view plain = block.plain;
        if (plain.size() <= 2 * kSamples * kSample) return good_;
        for (std::size_t i = 0; i < kSamples; ++i) {
            const std::string_view sample = plain.substr(i * (plain.size() / kSamples), kSample);
            if (run(quick_, sample, block.packed) < kSample * 31 / 32) return good_;
        }
        return none_;
    }

    libdeflate_compressor *good_, *quick_, *none_;
};

}  // namespace

class GzipWriter::Impl {
public:
    Impl(unsigned threads, Drain out) : out_(std::move(out)) {
        threads = std::clamp(threads, 1U, kMostThreads);
        most_ = 2 * std::size_t{threads} + 1;
        for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { pack(); });
    }
    ~Impl() {
        {
            const std::scoped_lock lock(mutex_);
            ending_ = true;
        }
        changed_.notify_all();
        for (std::thread& thread : threads_) thread.join();
    }
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            if (!filling_) filling_ = fresh();
            const std::size_t part = std::min(bytes.size(), kBlock - filling_->plain.size());
            filling_->plain.append(bytes.substr(0, part));
            bytes.remove_prefix(part);
            if (filling_->plain.size() == kBlock) hand_over();
        }
    }
    void finish() {
        if (filling_) hand_over();
        while (!order_.empty()) take_oldest();
    }

private:
    using BlockPtr = std::shared_ptr<Block>;

    BlockPtr fresh() {
        while (order_.size() >= most_) take_oldest();
        if (spare_.empty()) {
            auto block = std::make_shared<Block>();
            block->plain.reserve(kBlock);
            return block;
        }
        BlockPtr block = std::move(spare_.back());
        spare_.pop_back();
        return block;
    }
    void hand_over() {
        order_.push_back(filling_);
        {
            const std::scoped_lock lock(mutex_);
            queue_.push_back(std::move(filling_));
        }
        filling_.reset();
        changed_.notify_all();
    }
    void take_oldest() {
        BlockPtr block = std::move(order_.front());
        order_.pop_front();
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return block->done; });
        }
        if (block->failed) throw Error(Errc::internal, "internal", "compression failed");
        out_({block->packed.data(), block->packed_size});
        block->plain.clear();
        block->done = false;
        spare_.push_back(std::move(block));
    }
    void pack() {
        pthread_setname_np(pthread_self(), "larder-backup-z");
        Packer packer;
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
            if (ending_) return;
            const BlockPtr block = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            const bool packed = packer.pack(*block);
            lock.lock();
            block->failed = !packed;
            block->done = true;
            changed_.notify_all();
        }
    }

    Drain out_;
    std::size_t most_ = 0;
    BlockPtr filling_;            // the caller's alone, as are the next two
    std::deque<BlockPtr> order_;  // handed over and not taken back, oldest first
    std::vector<BlockPtr> spare_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<BlockPtr> queue_;  // guarded by mutex_, as are the blocks in it and the flag
    bool ending_ = false;
    std::vector<std::thread> threads_;
};

GzipWriter::GzipWriter(unsigned threads, Drain out)
    : impl_(std::make_unique<Impl>(threads, std::move(out))) {}
GzipWriter::~GzipWriter() = default;
void GzipWriter::write(std::string_view bytes) { impl_->write(bytes); }
void GzipWriter::finish() { impl_->finish(); }

}  // namespace larder::backup
