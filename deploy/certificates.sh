#!/bin/sh
# Makes a certificate authority and one certificate per name that it signs, each good for TLS servers and clients, into a folder.
# What is there already stays: run it again with a new name to add one. Remove the folder to change everything.
#
#   certificates.sh FOLDER NAME...     NAME is a host name; *.example also works, and its file is named wildcard.example
set -eu
folder=$1
shift
days=825
mkdir -p "$folder"
cd "$folder"
umask 077

if [ ! -f ca.pem ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=rubato cluster" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.pem
fi
for name in "$@"; do
  file=$(echo "$name" | sed 's/^\*/wildcard/')
  if [ -f "$file.pem" ]; then continue; fi
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$file" -keyout "$file.key" -out "$file.csr"
  printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n' "$name" > "$file.ext"
  openssl x509 -req -in "$file.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days "$days" -extfile "$file.ext" -out "$file.pem"
  rm "$file.csr" "$file.ext"
done
# Services run as 10001; the authority's key stays with root.
chmod 755 .
chmod 644 ./*.pem
for key in ./*.key; do
  if [ "$key" != ./ca.key ] && [ "$(id -u)" = 0 ]; then chown 10001:10001 "$key"; fi
done
