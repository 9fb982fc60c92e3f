"""sources/http"""
