# Doors only; the build is meson's.
all:
	@[ -f build/build.ninja ] || meson setup build
	ninja -C build

run test:
	./$@

stop:
	./run --stop

clean:
	rm -rf build build-test build-clang

.PHONY: all run test stop clean
