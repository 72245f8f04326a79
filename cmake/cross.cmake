# The toolchain for another architecture of Debian: -D SQ_MACHINE=aarch64-linux-gnu, with its compiler
# (gcc-aarch64-linux-gnu) and the libraries of that architecture (libev-dev:arm64, ...) beside this
# machine's own.
set(CMAKE_SYSTEM_NAME Linux)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SQ_MACHINE)
string(REGEX REPLACE "-.*" "" CMAKE_SYSTEM_PROCESSOR ${SQ_MACHINE})
set(CMAKE_C_COMPILER ${SQ_MACHINE}-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE ${SQ_MACHINE})
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/${SQ_MACHINE}/pkgconfig:/usr/share/pkgconfig)
