#!/bin/sh
# Take out of an environment what no program in our images uses of its packages: symbols, tests, types, the C library of
# ONNX Runtime beside Python's, its tools for models, other services of Amazon's than S3, calendars of other languages
# than the console's. What is left has to work: the Dockerfiles try it.
#
#   trim_packages.sh SITE_PACKAGES     needs strip (binutils)
set -eu
cd "$1"
for library in _polars_runtime_32/*.so uvloop/*.so cryptography/hazmat/bindings/*.so httptools/parser/*.so \
  numpy/_core/*.so numpy/random/*.so; do
  strip --strip-unneeded "$library"
done
rm -rf numpy/*/tests numpy/f2py numpy/_core/include numpy/*/lib/*.a onnxruntime/capi/libonnxruntime.so* boto3/data/ec2 \
  onnxruntime/backend onnxruntime/datasets onnxruntime/quantization onnxruntime/tools onnxruntime/transformers
find . -name '*.pyi' -delete
find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts -exec rm -r {} +
if [ -d babel/locale-data ]; then
  find babel/locale-data -name '*.dat' ! -name 'root.dat' ! -name 'en*.dat' ! -name 'es*.dat' -delete
fi
