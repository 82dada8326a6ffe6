// gzip (RFC 1952) made on several threads: blocks of the input, each a member of its own, so that
// any gunzip reads them one after the other. Not for reading.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "backup_bytes.hpp"

namespace larder::backup {

class GzipWriter {
public:
    // `out` is called on the thread that calls write() and finish(), in order.
    GzipWriter(unsigned threads, Drain out);
    ~GzipWriter();  // without finish(): what is under way is thrown away
    GzipWriter(const GzipWriter&) = delete;
    GzipWriter& operator=(const GzipWriter&) = delete;

    // Throw what `out` throws, Error{internal} where there is no memory. [worker, one thread]
    void write(std::string_view bytes);
    void finish();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace larder::backup
