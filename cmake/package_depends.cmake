# Read by cpack itself, so that packages made with another version (tools/package VERSION) ask for their own kind.
set(CPACK_DEBIAN_LARDER-DEV_PACKAGE_DEPENDS "larder (= ${CPACK_PACKAGE_VERSION}), g++, cmake, python3, libboost-dev, libfmt-dev, libpoco-dev, libsimdjson-dev, libsqlite3-dev, libssl-dev")
